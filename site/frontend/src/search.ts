// The search dialog: results as one types, walked through with the arrow keys. Without scripts /search is a page.
const PAUSE_MS = 120;
let timer: number | undefined;
let asked = 0;

export function serveSearch(): void {
  const dialog = document.querySelector<HTMLDialogElement>("[data-search]");
  const input = dialog?.querySelector("input");
  if (!dialog || !input) return;
  document.querySelector("[data-search-open]")?.addEventListener("click", (event) => {
    event.preventDefault();
    openSearch();
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void find(dialog, input.value), PAUSE_MS);
  });
  dialog.querySelector("form")?.addEventListener("submit", (event) => {
    const first = dialog.querySelector<HTMLAnchorElement>(".hit");
    if (!first) return;
    event.preventDefault();
    first.click();
  });
  dialog.addEventListener("keydown", (event) => walk(dialog, input, event));
  dialog.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target === dialog || target.closest(".hit")) dialog.close();
  });
}

export function openSearch(): void {
  const dialog = document.querySelector<HTMLDialogElement>("[data-search]");
  if (!dialog || dialog.open) return;
  dialog.showModal();
  dialog.querySelector("input")?.select();
}

async function find(dialog: HTMLElement, words: string): Promise<void> {
  const mine = ++asked;
  const place = dialog.querySelector<HTMLElement>("[data-search-hits]");
  if (!place) return;
  try {
    const answer = await fetch(`/search?q=${encodeURIComponent(words)}`, { headers: { "X-Fragment": "1" } });
    const html = await answer.text();
    if (mine === asked) place.innerHTML = html;
  } catch {
    if (mine === asked) place.textContent = "meshdojo did not answer.";
  }
}

function walk(dialog: HTMLElement, input: HTMLElement, event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const stops = [input, ...dialog.querySelectorAll<HTMLElement>(".hit")];
  const place = stops.indexOf(document.activeElement as HTMLElement);
  event.preventDefault();
  stops[(place + step + stops.length) % stops.length]?.focus();
}

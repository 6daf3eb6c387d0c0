// What a word of the glossary means, beside it, when the pointer or the focus is on it (WCAG 1.4.13: it can be
// dismissed, hovered, and stays).
let tip: HTMLElement | undefined;
let shown: HTMLElement | undefined;
let leaving: number | undefined;

export function serveGlossary(): void {
  document.addEventListener("pointerover", (event) => consider(event.target));
  document.addEventListener("focusin", (event) => consider(event.target));
  document.addEventListener("focusout", () => leaveSoon());
  document.addEventListener("scroll", () => hide(), { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

function consider(target: EventTarget | null): void {
  const element = target instanceof Element ? target.closest<HTMLElement>(".term") : null;
  if (element) show(element);
  else if (target instanceof Node && tip?.contains(target)) clearTimeout(leaving);
  else leaveSoon();
}

function show(element: HTMLElement): void {
  clearTimeout(leaving);
  if (shown === element) return;
  hide();
  tip ??= document.body.appendChild(Object.assign(document.createElement("div"), { id: "term-tip", className: "term-tip" }));
  tip.setAttribute("role", "tooltip");
  tip.textContent = element.dataset["definition"] ?? "";
  tip.hidden = false;
  element.setAttribute("aria-describedby", tip.id);
  shown = element;
  const word = element.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(word.left, window.innerWidth - box.width - 8));
  const below = word.bottom + 6 + box.height < window.innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? word.bottom + 6 : Math.max(8, word.top - box.height - 6)}px`;
}

function leaveSoon(): void {
  clearTimeout(leaving);
  leaving = setTimeout(() => {
    if (shown !== document.activeElement) hide();
  }, 150);
}

function hide(): void {
  if (!tip || !shown) return;
  tip.hidden = true;
  shown.removeAttribute("aria-describedby");
  shown = undefined;
}

// Keys. Single letters work only outside of what is written in, and can be turned off (WCAG 2.1.4).
import { openSearch } from "./search";
import { focusPane, loadTerminals, openTerminal } from "./work";
import { isShown, show } from "./workbench";

const SINGLE = "meshdojo-single-keys";
const ALOUD = "meshdojo-read-aloud";
const PANES = ["chapter", "work", "mesh"] as const;

export function serveKeys(): void {
  const help = document.querySelector<HTMLDialogElement>("[data-help]");
  const opener = document.querySelector<HTMLElement>("[data-help-open]");
  if (!help || !opener) return;
  opener.addEventListener("click", () => help.showModal());
  serveChoice(help.querySelector("[data-single-keys]"), SINGLE, true, () => undefined);
  serveChoice(help.querySelector("[data-read-aloud]"), ALOUD, false, (on) => {
    if (document.querySelector(".shell")) void loadTerminals().then((loaded) => loaded.readAloud(on));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "F6") nextPane(event);
    else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !isWritten(event)) act(event, openSearch);
    else if (!event.ctrlKey && !event.metaKey && !event.altKey && !isWritten(event) && isOn(SINGLE, true)) letter(event, help);
  });
}

function serveChoice(box: HTMLInputElement | null, key: string, usual: boolean, changed: (on: boolean) => void): void {
  if (!box) return;
  box.checked = isOn(key, usual);
  box.addEventListener("change", () => {
    localStorage.setItem(key, box.checked ? "yes" : "no");
    changed(box.checked);
  });
}

function isOn(key: string, usual: boolean): boolean {
  try {
    return (localStorage.getItem(key) ?? (usual ? "yes" : "no")) === "yes";
  } catch {
    return usual;
  }
}

/** Whether the key goes into a text, a terminal, the editor or a dialog. */
function isWritten(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("input, select, textarea") || target.closest("dialog") !== null;
}

function act(event: KeyboardEvent, run: () => void): void {
  event.preventDefault();
  run();
}

function letter(event: KeyboardEvent, help: HTMLDialogElement): void {
  const workbench = document.querySelector("[data-workbench]") !== null;
  const keys: Record<string, () => void> = {
    "?": () => help.showModal(),
    "/": openSearch,
    "[": () => document.querySelector<HTMLElement>(".pager [rel=prev]")?.click(),
    "]": () => document.querySelector<HTMLElement>(".pager [rel=next]")?.click(),
    ...(workbench
      ? {
          r: () => (show("chapter"), focusPane("chapter")),
          t: () => void goToTerminal(),
          e: () => (show("editor"), setTimeout(() => focusPane("work"), 0)),
          m: () => (show("mesh"), focusPane("mesh")),
          j: () => task(1),
          k: () => task(-1),
          c: () => document.querySelector<HTMLFormElement>(".recheck")?.requestSubmit(),
        }
      : {}),
  };
  const run = keys[event.key];
  if (run) act(event, run);
}

async function goToTerminal(): Promise<void> {
  if (!document.querySelector("[data-open-terminal]")) return;
  if (!document.querySelector(".shell")) return openTerminal();
  show("terminal");
  (await loadTerminals()).focus();
}

function task(step: number): void {
  const tasks = [...document.querySelectorAll<HTMLElement>(".task")];
  const tops = tasks.map((one) => one.getBoundingClientRect().top);
  const line = 120;
  const next = step > 0 ? tops.findIndex((top) => top > line + 5) : tops.findLastIndex((top) => top < line - 60);
  const target = tasks[next];
  if (!target) return;
  target.tabIndex = -1;
  target.scrollIntoView();
  target.focus({ preventScroll: true });
}

function nextPane(event: KeyboardEvent): void {
  const shown = PANES.filter((pane) => isShown(pane));
  if (!shown.length) return;
  event.preventDefault();
  const here = document.activeElement?.closest<HTMLElement>("[data-pane]")?.dataset["pane"];
  const place = shown.findIndex((pane) => pane === here);
  const step = event.shiftKey ? -1 : 1;
  const next = shown[place < 0 ? 0 : (place + step + shown.length) % shown.length];
  if (next) focusPane(next);
}

// The three panes of a lab: sizes, folding, and tabs on a small screen. What is in a pane hears of it by events:
// `panelayout` on the document after every change, so that a terminal can fit itself.
import { type Layout, type PaneName, type Shown, USUAL, apply, keep, load, within } from "./layout";

const LIMITS = { chapter: [25, 75], work: [20, 80] } as const;
const STEP = 2;
type Divider = keyof typeof LIMITS;

let layout: Layout = { ...USUAL };

export function serveWorkbench(): void {
  if (!document.querySelector("[data-workbench]")) return;
  layout = load();
  for (const divider of document.querySelectorAll<HTMLElement>("[data-divider]")) serveDivider(divider);
  for (const button of document.querySelectorAll<HTMLElement>("[data-fold]")) {
    button.addEventListener("click", () => fold(button.dataset["fold"] as PaneName));
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-show]")) {
    button.addEventListener("click", () => show(button.dataset["show"] as Shown));
  }
  document.addEventListener("keydown", scrollChapter);
  window.addEventListener("resize", () => document.dispatchEvent(new CustomEvent("panelayout")));
  update();
}

/** Bring a pane into view, wherever it hides. */
export function show(name: Shown): void {
  const pane: PaneName = name === "chapter" || name === "mesh" ? name : "work";
  layout = { ...layout, shown: name, folded: layout.folded.filter((one) => one !== pane) };
  changed();
  document.dispatchEvent(new CustomEvent("paneshown", { detail: name }));
}

export function isShown(pane: PaneName): boolean {
  const element = document.querySelector<HTMLElement>(`[data-pane="${pane}"]`);
  return !!element && !layout.folded.includes(pane) && element.getClientRects().length > 0;
}

function fold(pane: PaneName): void {
  const folded = layout.folded.includes(pane);
  layout = { ...layout, folded: folded ? layout.folded.filter((name) => name !== pane) : [...layout.folded, pane] };
  changed();
  const next = folded ? `.pane-tools [data-fold="${pane}"]` : `.unfold[data-fold="${pane}"]`;
  document.querySelector<HTMLElement>(next)?.focus();
}

function changed(): void {
  keep(layout);
  update();
}

function update(): void {
  apply(layout);
  for (const button of document.querySelectorAll<HTMLElement>(".unfold")) {
    button.hidden = !layout.folded.includes(button.dataset["fold"] as PaneName);
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-show]")) {
    button.setAttribute("aria-pressed", String(button.dataset["show"] === layout.shown));
  }
  for (const divider of document.querySelectorAll<HTMLElement>("[data-divider]")) {
    divider.setAttribute("aria-valuenow", String(Math.round(layout[divider.dataset["divider"] as Divider])));
  }
  document.dispatchEvent(new CustomEvent("panelayout"));
}

function serveDivider(divider: HTMLElement): void {
  const name = divider.dataset["divider"] as Divider;
  const set = (value: number): void => {
    layout = { ...layout, [name]: within(value, LIMITS[name][0], LIMITS[name][1], USUAL[name]) };
    update();
  };
  divider.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    divider.setPointerCapture(event.pointerId);
    divider.dataset["dragged"] = "";
    const move = (at: PointerEvent): void => set(share(divider, at));
    divider.addEventListener("pointermove", move);
    divider.addEventListener(
      "lostpointercapture",
      () => {
        divider.removeEventListener("pointermove", move);
        delete divider.dataset["dragged"];
        keep(layout);
      },
      { once: true },
    );
  });
  divider.addEventListener("dblclick", () => (set(USUAL[name]), keep(layout)));
  divider.addEventListener("keydown", (event) => {
    const [least, most] = LIMITS[name];
    const wished: Record<string, number> = {
      ArrowLeft: layout[name] - STEP,
      ArrowUp: layout[name] - STEP,
      ArrowRight: layout[name] + STEP,
      ArrowDown: layout[name] + STEP,
      Home: least,
      End: most,
    };
    const value = wished[event.key];
    if (value === undefined) return;
    event.preventDefault();
    set(value);
    keep(layout);
  });
}

/** Which share of its container the pointer leaves to the pane before the divider, in per cent. */
function share(divider: HTMLElement, at: PointerEvent): number {
  const box = (divider.parentElement ?? document.body).getBoundingClientRect();
  const beside = getComputedStyle(divider).cursor === "col-resize";
  return beside ? ((at.clientX - box.left) / box.width) * 100 : ((at.clientY - box.top) / box.height) * 100;
}

// The window itself does not scroll here; keys that scroll mean the chapter, as long as nothing else has the focus.
const SCROLLING = new Set(["PageDown", "PageUp", "ArrowDown", "ArrowUp", " ", "Home", "End"]);

function scrollChapter(event: KeyboardEvent): void {
  if (event.target !== document.body || !SCROLLING.has(event.key)) return;
  const scroller = document.querySelector<HTMLElement>("[data-scroller]");
  if (scroller && scroller.scrollHeight > scroller.clientHeight) {
    scroller.tabIndex = -1;
    scroller.focus({ preventScroll: true });
  }
}

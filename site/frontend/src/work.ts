// The pane with terminals and editor, before either is loaded: what opens them, and the commands of the chapter.
import { announce, meta } from "./dom";
import { ask, words } from "./server";
import { isShown, show } from "./workbench";
import { type ObjectName, type OpenShell, lab, onWish, problem } from "./workpane";

let terminals: Promise<typeof import("./terminals")> | undefined;
let editor: Promise<typeof import("./editor")> | undefined;

export function loadTerminals(): Promise<typeof import("./terminals")> {
  terminals ??= import("./terminals");
  return terminals;
}

function loadEditor(): Promise<typeof import("./editor")> {
  editor ??= import("./editor");
  return editor;
}

/** Whether this visitor may open terminals. */
function mayOpen(): boolean {
  return document.querySelector("[data-open-terminal]") !== null;
}

export function serveWork(): void {
  if (!document.querySelector("[data-workbench]")) return;
  document.addEventListener("paneshown", (event) => {
    const shown = (event as CustomEvent<string>).detail;
    if (shown === "terminal" || shown === "editor") select(shown);
  });
  onWish("workwanted", select);
  onWish("objectwanted", (object) => void editObject(object));
  document.querySelector("#tab-editor")?.addEventListener("click", () => select("editor"));
  document.querySelector("#tab-terminal")?.addEventListener("click", () => select("terminal"));
  document.querySelector("[data-work-tabs]")?.addEventListener("keydown", (event) => moveTab(event as KeyboardEvent));
  if (!mayOpen()) return;
  serveMesh();
  document.querySelector("[data-open-terminal]")?.addEventListener("click", () => void openTerminal());
  serveRunButtons(document);
  // Shells that are open from an earlier visit come back by themselves, after the page is there.
  window.addEventListener("load", () => setTimeout(() => void comeBack(), 0));
  if (document.readyState === "complete") void comeBack();
}

// The mesh is drawn when its pane is seen for the first time, and the page is there.
let mesh = false;

function serveMesh(): void {
  const look = (): void => {
    if (mesh || !isShown("mesh") || document.readyState !== "complete") return;
    mesh = true;
    void import("./mesh").then((loaded) => loaded.start());
  };
  document.addEventListener("panelayout", look);
  window.addEventListener("load", () => setTimeout(look, 0));
  look();
}

let cameBack = false;

async function comeBack(): Promise<void> {
  if (cameBack || !meta("csrf-token")) return;
  cameBack = true;
  try {
    const open = await ask<OpenShell[]>(`/labs/${lab()}/shells`);
    if (open.length) (await loadTerminals()).restore(open);
  } catch {
    // The terminal says so when it is opened.
  }
}

/** A new terminal, on view, with the focus. */
export async function openTerminal(): Promise<void> {
  show("terminal");
  try {
    await (await loadTerminals()).add();
  } catch (error) {
    problem(words(error));
  }
}

function select(name: "terminal" | "editor"): void {
  for (const which of ["terminal", "editor"] as const) {
    const body = document.getElementById(`work-${which}`);
    if (body) body.hidden = which !== name;
  }
  const editorTab = document.getElementById("tab-editor");
  editorTab?.setAttribute("aria-selected", String(name === "editor"));
  editorTab?.setAttribute("tabindex", name === "editor" ? "0" : "-1");
  const placeholder = document.getElementById("tab-terminal");
  placeholder?.setAttribute("aria-selected", String(name === "terminal"));
  placeholder?.setAttribute("tabindex", name === "terminal" ? "0" : "-1");
  if (name === "editor") void loadEditor().then((loaded) => loaded.mount());
  if (terminals) void terminals.then((loaded) => loaded.shown(name === "terminal"));
}

function moveTab(event: KeyboardEvent): void {
  const tabs = [...document.querySelectorAll<HTMLElement>("[data-work-tabs] [role=tab]")];
  const place = tabs.indexOf(document.activeElement as HTMLElement);
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (place < 0 || !step) return;
  event.preventDefault();
  const next = tabs[(place + step + tabs.length) % tabs.length];
  next?.focus();
  next?.click();
  next?.focus();
}

export function serveRunButtons(root: ParentNode): void {
  if (!mayOpen()) return;
  for (const button of root.querySelectorAll<HTMLButtonElement>("[data-run][hidden]")) {
    button.hidden = false;
    button.addEventListener("click", () => void run(button));
  }
}

async function run(button: HTMLButtonElement): Promise<void> {
  const text = button.parentElement?.querySelector<HTMLElement>("[data-copy]")?.dataset["copy"] ?? "";
  const label = button.querySelector("[data-run-label]");
  if (!isShown("work")) show("terminal");
  select("terminal");
  try {
    await (await loadTerminals()).run(text);
    button.dataset["copied"] = "";
    if (label) label.textContent = "Sent";
    announce("The command runs in the terminal.");
  } catch (error) {
    problem(words(error));
  }
  setTimeout(() => {
    delete button.dataset["copied"];
    if (label) label.textContent = "Run";
  }, 1600);
}

async function editObject({ kind, namespace, name }: ObjectName): Promise<void> {
  show("editor");
  const loaded = await loadEditor();
  await loaded.mount();
  await loaded.openObject(kind, namespace, name);
}

/** Give the focus to a pane: to the text, the terminal or the editor, the graph. */
export function focusPane(pane: "chapter" | "work" | "mesh"): void {
  if (pane === "chapter") document.getElementById("main")?.focus({ preventScroll: true });
  else if (pane === "mesh") document.querySelector<HTMLElement>(".mesh-scroll, [data-pane=mesh] button")?.focus();
  else if (document.getElementById("work-editor")?.hidden === false) void loadEditor().then((loaded) => loaded.focus());
  else if (document.querySelector(".shell")) void loadTerminals().then((loaded) => loaded.focus());
  else document.querySelector<HTMLElement>("[data-work-tabs] [aria-selected=true]")?.focus();
}

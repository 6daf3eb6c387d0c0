// What the islands (terminals, editor, mesh) know of the page that has loaded them, and may ask of it. `work` answers.

export interface OpenShell {
  id: string;
  name: string;
  running: boolean;
}

/** An object of the cluster, by kind, namespace and name. */
export interface ObjectName {
  kind: string;
  namespace: string;
  name: string;
}

interface Wishes {
  /** Show the terminals, or the editor, in their pane. */
  workwanted: "terminal" | "editor";
  /** Open an object of the cluster in the editor. */
  objectwanted: ObjectName;
}

/** Ask for something; what can be asked for is in `Wishes`. */
export function wish<Name extends keyof Wishes>(name: Name, detail: Wishes[Name]): void {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

/** Grant what is asked for. */
export function onWish<Name extends keyof Wishes>(name: Name, grant: (detail: Wishes[Name]) => void): void {
  document.addEventListener(name, (event) => grant((event as CustomEvent<Wishes[Name]>).detail));
}

/** The id of the lab whose page this is, '' elsewhere. */
export function lab(): string {
  return document.querySelector<HTMLElement>("[data-workbench]")?.dataset["lab"] ?? "";
}

let styled: Promise<void> | undefined;

/** The style and the typeface of terminals and editor. */
export function loadStyle(): Promise<void> {
  styled ??= new Promise<void>((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = document.querySelector<HTMLElement>("[data-style]")?.dataset["style"] ?? "";
    link.addEventListener("load", () => resolve());
    link.addEventListener("error", () => reject(new Error("The style of the terminals did not arrive.")));
    document.head.append(link);
  })
    .then(() => document.fonts.load('13px "Geist Mono Variable"'))
    .then(() => undefined);
  return styled;
}

/** Say above the terminals what went wrong; '' takes it away. */
export function problem(text: string): void {
  const place = document.querySelector<HTMLElement>("[data-terminal-problem]");
  if (!place) return;
  place.textContent = text;
  place.hidden = !text;
}

// Small helpers around the document.
import { serveCopyButtons } from "./copy";
import { drawDiagrams } from "./diagrams";
import { localiseTimes } from "./times";
import { serveRunButtons } from "./work";

export function meta(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";
}

/** Bring HTML that the server rendered to life: the same things that happen to a whole page. */
export function enliven(root: ParentNode): void {
  localiseTimes(root);
  serveCopyButtons(root);
  serveRunButtons(root);
  drawDiagrams(root);
}

/** Say something to people who use a screen reader. */
export function announce(text: string): void {
  const announcer = document.querySelector("[data-announcer]");
  if (announcer) announcer.textContent = text;
}

// HTML that the server rendered, brought to life.
import { serveCopyButtons } from "./copy";
import { drawDiagrams } from "./diagrams";
import { localiseTimes } from "./times";
import { serveRunButtons } from "./work";

/** The same things that happen to a whole page, for a part of it. */
export function enliven(root: ParentNode): void {
  localiseTimes(root);
  serveCopyButtons(root);
  serveRunButtons(root);
  drawDiagrams(root);
}

// Diagrams are drawn in a frame of their own (see security.py), when they come near the window. This module makes the
// frames and hands them the source and the page's own colours; diagram.ts, inside, draws.
import { colours, scheme, whenColoursChange } from "./colours";

export interface DrawRequest {
  source: string;
  title: string;
  colours: Record<string, string>;
}
export interface DrawReply {
  height: number;
  error: string;
}

const TOKENS = ["ink", "ink-2", "ink-3", "paper", "canvas", "line", "line-strong", "accent", "accent-soft"];

// What can be seen is drawn at once; what is near, from the first movement on: the first page stays light.
const NEAR = "600px";
let margin = "0px";
let observer: IntersectionObserver | undefined;

export function drawDiagrams(root: ParentNode): void {
  const figures = root.querySelectorAll<HTMLElement>("[data-diagram]:not([data-drawn])");
  if (!figures.length) return;
  if (!observer) document.addEventListener("scroll", lookAhead, { capture: true, once: true, passive: true });
  observer ??= watching();
  for (const figure of figures) {
    figure.dataset["drawn"] = "";
    observer.observe(figure);
  }
}

function watching(): IntersectionObserver {
  return new IntersectionObserver(
    (entries, own) => {
      for (const entry of entries) {
        if (!entry.isIntersecting || !(entry.target instanceof HTMLElement)) continue;
        own.unobserve(entry.target);
        if (!entry.target.querySelector("iframe")) frame(entry.target);
      }
    },
    { rootMargin: margin, root: scroller() },
  );
}

function lookAhead(): void {
  margin = NEAR;
  observer?.disconnect();
  observer = watching();
  for (const figure of document.querySelectorAll("[data-diagram]:not([data-drawn=yes])")) observer.observe(figure);
}

/** What scrolls: a margin around the window does not reach into an element that scrolls by itself. */
function scroller(): Element | null {
  const element = document.querySelector("[data-scroller]");
  return element && getComputedStyle(element).overflowY === "auto" ? element : null;
}

function frame(figure: HTMLElement): void {
  const title = figure.dataset["title"] ?? "Diagram";
  const element = document.createElement("iframe");
  element.title = title;
  const draw = (): void => {
    const request: DrawRequest = { source: figure.dataset["diagram"] ?? "", title, colours: { ...colours(TOKENS), scheme: scheme() } };
    element.contentWindow?.postMessage(request, window.location.origin);
  };
  window.addEventListener("message", (event: MessageEvent<DrawReply | "ready">) => {
    if (event.source !== element.contentWindow || event.origin !== window.location.origin) return;
    if (event.data === "ready") draw();
    else if (typeof event.data.height !== "number") return; // not ours
    else if (!event.data.error) {
      element.height = String(event.data.height);
      figure.dataset["drawn"] = "yes";
    } else {
      element.remove(); // The source, as text, is still there.
    }
  });
  whenColoursChange(draw);
  element.src = "/diagram";
  figure.append(element);
}

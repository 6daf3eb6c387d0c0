// Diagrams are drawn in a frame of their own (see security.py), when they come near the window. This module makes the
// frames and hands them the source and the page's own colours; diagram.ts, inside, draws.
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

export function drawDiagrams(root: ParentNode): void {
  const figures = root.querySelectorAll<HTMLElement>("[data-diagram]:not([data-drawn])");
  if (!figures.length) return;
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting || !(entry.target instanceof HTMLElement)) continue;
        observer.unobserve(entry.target);
        frame(entry.target);
      }
    },
    { rootMargin: "600px" },
  );
  for (const figure of figures) {
    figure.dataset["drawn"] = "";
    observer.observe(figure);
  }
}

function frame(figure: HTMLElement): void {
  const title = figure.dataset["title"] ?? "Diagram";
  const element = document.createElement("iframe");
  element.title = title;
  const draw = (): void => {
    const request: DrawRequest = { source: figure.dataset["diagram"] ?? "", title, colours: colours() };
    element.contentWindow?.postMessage(request, window.location.origin);
  };
  window.addEventListener("message", (event: MessageEvent<DrawReply | "ready">) => {
    if (event.source !== element.contentWindow || event.origin !== window.location.origin) return;
    if (event.data === "ready") draw();
    else if (!event.data.error) {
      element.height = String(event.data.height);
      figure.dataset["drawn"] = "yes";
    } else {
      element.remove(); // The source, as text, is still there.
    }
  });
  document.addEventListener("themechange", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  element.src = "/diagram";
  figure.append(element);
}

/** The page's colours as they are now: a custom property would come out as its formula, a used colour does not. */
function colours(): Record<string, string> {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const found: Record<string, string> = {};
  for (const token of TOKENS) {
    probe.style.color = `var(--${token})`;
    found[token] = getComputedStyle(probe).color;
  }
  probe.remove();
  const dark = getComputedStyle(document.documentElement).colorScheme.split(" ");
  found["scheme"] = dark.length === 1 ? (dark[0] ?? "light") : systemScheme();
  return found;
}

function systemScheme(): string {
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

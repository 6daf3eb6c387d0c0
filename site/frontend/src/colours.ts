// The page's colours as they are now: a custom property would come out as its formula, a used colour does not.
export function colours(tokens: readonly string[]): Record<string, string> {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const found: Record<string, string> = {};
  for (const token of tokens) {
    probe.style.color = `var(--${token})`;
    found[token] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

export function scheme(): "light" | "dark" {
  const named = getComputedStyle(document.documentElement).colorScheme.split(" ");
  if (named.length === 1) return named[0] === "dark" ? "dark" : "light";
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function whenColoursChange(run: () => void): void {
  document.addEventListener("themechange", run);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", run);
}

/** #rrggbb; browsers say rgb(…) or color(srgb …). */
export function hex(colour: string | undefined): string {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (!context || !colour) return "#888888";
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

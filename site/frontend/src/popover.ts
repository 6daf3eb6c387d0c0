// A <details data-popover> closes when the reader turns elsewhere.
export function servePopovers(): void {
  const popovers = document.querySelectorAll<HTMLDetailsElement>("details[data-popover]");
  if (!popovers.length) return;
  document.addEventListener("click", (event) => {
    for (const popover of popovers) {
      if (event.target instanceof Node && !popover.contains(event.target)) popover.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const popover of popovers) {
      if (!popover.open) continue;
      popover.open = false;
      popover.querySelector("summary")?.focus();
    }
  });
}

// Copy buttons on commands.
const SHOWN_FOR_MS = 1600;

export function serveCopyButtons(root: ParentNode): void {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll<HTMLButtonElement>("[data-copy][hidden]")) {
    button.hidden = false;
    button.addEventListener("click", () => void copy(button));
  }
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const label = button.querySelector("[data-copy-label]");
  try {
    await navigator.clipboard.writeText(button.dataset["copy"] ?? "");
    button.dataset["copied"] = "";
    if (label) label.textContent = "Copied";
  } catch {
    if (label) label.textContent = "Not allowed";
  }
  setTimeout(() => {
    delete button.dataset["copied"];
    if (label) label.textContent = "Copy";
  }, SHOWN_FOR_MS);
}

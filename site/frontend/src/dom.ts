// Small helpers around the document.
export function meta(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";
}

/** Say something to people who use a screen reader. */
export function announce(text: string): void {
  const announcer = document.querySelector("[data-announcer]");
  if (announcer) announcer.textContent = text;
}

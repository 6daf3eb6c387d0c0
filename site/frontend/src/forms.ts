// Forms marked data-swap are sent in the background; the answer replaces the element that data-swap names.
// Without scripts the same forms work as forms: the server then leads back to the page.
import { announce, meta } from "./dom";
import { enliven } from "./enliven";

export function serveForms(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset["swap"] === undefined) return;
    event.preventDefault();
    void send(form);
  });
}

async function send(form: HTMLFormElement): Promise<void> {
  const button = form.querySelector("button");
  if (button?.getAttribute("aria-disabled") === "true") return;
  button?.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { "X-Fragment": "1", "X-CSRF-Token": meta("csrf-token") },
    });
    const text = await answer.text();
    if (!answer.ok) announce(text);
    else swap(form, text);
  } catch {
    announce("meshdojo did not answer. Is it still running?");
  } finally {
    button?.removeAttribute("aria-disabled");
  }
}

function swap(form: HTMLFormElement, html: string): void {
  const target = document.getElementById(form.dataset["swap"] ?? "");
  if (!target) return;
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const fresh = holder.content.firstElementChild;
  if (!(fresh instanceof HTMLElement)) return;
  target.replaceWith(fresh);
  enliven(fresh);
  fresh.querySelector<HTMLElement>(form.dataset["focus"] || "button")?.focus({ preventScroll: true });
}

// The instructor's pages: the live roster, forms that speak to the API, a member's terminal (loaded when there is one).
import { announce, meta } from "./dom";
import { enliven } from "./enliven";
import type { ScreenPiece } from "./look";

interface Row {
  member: number;
  html: string;
  before: number | null;
}
interface Fragment {
  target: string;
  html: string;
}

const PATIENCE_MS = 2500;
const ANEW_MS = 300;

function listen(): void {
  const url = meta("room-stream");
  if (!url) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const source = new EventSource(url);
  source.addEventListener("row", (event: MessageEvent<string>) => showRow(JSON.parse(event.data) as Row));
  source.addEventListener("fragment", (event: MessageEvent<string>) => showFragment(JSON.parse(event.data) as Fragment));
  source.addEventListener("screen", (event: MessageEvent<string>) => void showScreen(JSON.parse(event.data) as ScreenPiece));
  source.addEventListener("bye", () => {
    source.close();
    window.location.assign("/workshops");
  });
  // The plan was changed: the grid has other columns.
  source.addEventListener("anew", () => {
    source.close();
    setTimeout(() => window.location.reload(), ANEW_MS);
  });
  source.addEventListener("open", () => {
    clearTimeout(timer);
    timer = undefined;
    setLost(false);
  });
  source.addEventListener("error", () => {
    timer ??= setTimeout(() => setLost(true), PATIENCE_MS);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, PATIENCE_MS);
  });
}

function setLost(lost: boolean): void {
  const banner = document.querySelector<HTMLElement>("[data-lost]");
  if (banner) banner.hidden = !lost;
}

function showRow(row: Row): void {
  const body = document.querySelector("[data-roster] tbody");
  if (!body) return;
  const old = document.getElementById(`member-${row.member}`);
  const holder = document.createElement("tbody");
  holder.innerHTML = row.html;
  const fresh = holder.firstElementChild;
  if (!fresh) old?.remove();
  else if (old) {
    const focused = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (focused) fresh.querySelector<HTMLElement>("a")?.focus({ preventScroll: true });
  } else {
    const next = row.before === null ? null : document.getElementById(`member-${row.before}`);
    body.insertBefore(fresh, next);
    announce(`${fresh.querySelector(".grid-person")?.textContent ?? "Somebody"} has joined.`);
  }
  if (fresh instanceof HTMLElement) {
    enliven(fresh);
    countTimes();
  }
  const empty = document.querySelector<HTMLElement>("[data-empty]");
  if (empty) empty.hidden = body.childElementCount > 0;
  filter();
}

function showFragment(fragment: Fragment): void {
  const target = document.getElementById(fragment.target);
  if (!target) return;
  const focused = target.contains(document.activeElement) ? focusedName(document.activeElement) : null;
  target.innerHTML = fragment.html;
  enliven(target);
  countTimes();
  filter();
  if (focused) {
    for (const one of target.querySelectorAll<HTMLElement>("button, a, input")) {
      if (focusedName(one) === focused) one.focus({ preventScroll: true });
    }
  }
}

function focusedName(element: Element | null): string {
  return element?.getAttribute("data-filter") ?? element?.getAttribute("aria-label") ?? element?.textContent ?? "";
}

// Which places are shown: a chip filters, the same chip again shows everybody.
let wanted = "";

function serveFilters(): void {
  document.addEventListener("click", (event) => {
    const chip = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-filter]") : null;
    if (!chip) return;
    const place = chip.dataset["filter"] ?? "";
    wanted = place === wanted ? "" : place;
    filter();
  });
}

function filter(): void {
  for (const chip of document.querySelectorAll<HTMLElement>("[data-filter]")) {
    chip.setAttribute("aria-pressed", String(chip.dataset["filter"] === wanted));
  }
  for (const row of document.querySelectorAll<HTMLElement>("[data-member]")) {
    row.hidden = wanted !== "" && row.dataset["place"] !== wanted;
  }
}

// Forms with data-api="METHOD PATH" send JSON to the API, which is what programs do, too.
function serveForms(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset["api"]) return;
    event.preventDefault();
    const question = form.dataset["sure"];
    if (question && !window.confirm(question)) return;
    void send(form, form.dataset["api"]);
  });
}

async function send(form: HTMLFormElement, call: string): Promise<void> {
  const [method = "POST", path = ""] = call.split(" ");
  const button = form.querySelector("button");
  if (button?.getAttribute("aria-disabled") === "true") return;
  button?.setAttribute("aria-disabled", "true");
  complain(form, "");
  try {
    const answer = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", "X-CSRF-Token": meta("csrf-token") },
      ...(method === "DELETE" ? {} : { body: JSON.stringify(values(form)) }),
    });
    const body = (answer.status === 204 ? {} : await answer.json()) as Record<string, unknown>;
    if (answer.ok) succeed(form, body);
    else complain(form, String(body["detail"] ?? answer.statusText));
  } catch {
    complain(form, "meshdojo did not answer. Is it still running?");
  } finally {
    button?.removeAttribute("aria-disabled");
  }
}

function succeed(form: HTMLFormElement, body: Record<string, unknown>): void {
  const { then, clear, show, done } = form.dataset;
  if (then) window.location.assign(then.replace("{id}", String(body["id"] ?? "")));
  if (clear !== undefined) form.reset();
  if (done) complain(form, done);
  const shown = form.querySelector<HTMLElement>("[data-shown]");
  const code = shown?.querySelector("code");
  if (show && shown && code) {
    code.textContent = String(body[show] ?? "");
    shown.hidden = false;
  }
}

function complain(form: HTMLFormElement, text: string): void {
  const place = form.querySelector("[data-wrong]");
  if (place) place.textContent = text;
  else if (text) announce(text);
}

function values(form: HTMLFormElement): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const field of form.elements) {
    if (field instanceof HTMLSelectElement || field instanceof HTMLTextAreaElement) found[field.name] = field.value;
    else if (field instanceof HTMLInputElement && field.name) read(field, found);
  }
  return found;
}

function read(field: HTMLInputElement, found: Record<string, unknown>): void {
  if ("list" in field.dataset) {
    const list = (found[field.name] ??= []) as string[];
    if (field.checked) list.push(field.value);
  } else if (field.type === "checkbox") found[field.name] = field.checked;
  else if ("flag" in field.dataset) found[field.name] = field.value === "true";
  else if (field.type === "datetime-local") found[field.name] = new Date(field.value).toISOString();
  else found[field.name] = field.value;
}

// The server knows moments, the reader their own clock.
function fillMoments(): void {
  for (const field of document.querySelectorAll<HTMLInputElement>("input[data-moment]")) {
    const moment = new Date(field.dataset["moment"] ?? "");
    const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
    if (!field.value) field.value = local.toISOString().slice(0, 16);
  }
}

function countTimes(): void {
  for (const element of document.querySelectorAll<HTMLTimeElement>("time[data-since]")) {
    const minutes = Math.max(0, Math.floor((Date.now() - new Date(element.dateTime).getTime()) / 60_000));
    const text = minutes < 1 ? "just now" : minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
    if (element.textContent !== text) element.textContent = text;
  }
}

async function showScreen(piece: ScreenPiece): Promise<void> {
  const { show } = await import("./look");
  await show(piece);
}

serveFilters();
serveForms();
fillMoments();
countTimes();
setInterval(countTimes, 15_000);
listen();

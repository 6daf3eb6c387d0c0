// The page's live stream. A browser opens only six connections to a host, so the tabs that show the same thing share
// one stream: the tab that holds the lock listens, and passes on to the others what it hears.
import { announce, meta } from "./dom";
import { enliven } from "./enliven";

interface Fragment {
  target: string;
  html: string;
  say: string;
}
type Message = { kind: "fragment"; fragment: Fragment } | { kind: "lost"; lost: boolean } | { kind: "hello" };

const PATIENCE_MS = 2500;

export function listen(): void {
  const url = meta("live-stream");
  if (!url) return;
  if (!("locks" in navigator) || !("BroadcastChannel" in window)) {
    open(url, apply);
    return;
  }
  const name = `meshdojo ${url}`;
  const channel = new BroadcastChannel(name);
  channel.addEventListener("message", (event: MessageEvent<Message>) => apply(event.data));
  channel.postMessage({ kind: "hello" } satisfies Message);
  // Held until the tab goes; then another tab takes over.
  void navigator.locks.request(name, () => new Promise<never>(() => lead(url, channel)));
}

function lead(url: string, channel: BroadcastChannel): void {
  const latest = new Map<string, Message>();
  channel.addEventListener("message", (event: MessageEvent<Message>) => {
    if (event.data.kind === "hello") for (const message of latest.values()) channel.postMessage(message);
  });
  open(url, (message) => {
    if (message.kind === "fragment") {
      // Somebody who comes later has nothing to announce.
      const { target, html } = message.fragment;
      latest.set(target, { kind: "fragment", fragment: { target, html, say: "" } });
    }
    apply(message);
    channel.postMessage(message);
  });
}

function open(url: string, receive: (message: Message) => void): void {
  let timer: number | undefined;
  const source = new EventSource(url);
  source.addEventListener("fragment", (event: MessageEvent<string>) => {
    receive({ kind: "fragment", fragment: JSON.parse(event.data) as Fragment });
  });
  source.addEventListener("open", () => {
    clearTimeout(timer);
    timer = undefined;
    receive({ kind: "lost", lost: false });
  });
  source.addEventListener("error", () => {
    // A short break (a restart, a laptop that wakes) is not worth a word.
    timer ??= setTimeout(() => receive({ kind: "lost", lost: true }), PATIENCE_MS);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => open(url, receive), PATIENCE_MS);
  });
}

function apply(message: Message): void {
  if (message.kind === "lost") showLost(message.lost);
  else if (message.kind === "fragment") replace(message.fragment);
}

function showLost(lost: boolean): void {
  const banner = document.querySelector<HTMLElement>("[data-lost]");
  if (banner) banner.hidden = !lost;
  document.documentElement.toggleAttribute("data-offline", lost);
  if (lost) announce("The connection to meshdojo is lost.");
}

function replace(fragment: Fragment): void {
  const target = document.getElementById(fragment.target);
  if (!target) return;
  const before = target.querySelector<HTMLElement>("[data-state]")?.dataset["state"];
  const focused = target.contains(document.activeElement) ? focusPath(target) : null;
  target.innerHTML = fragment.html;
  const state = target.querySelector<HTMLElement>("[data-state]");
  // Only what has just become true is celebrated, not what was so when the page was opened.
  if (state && before !== undefined && before !== state.dataset["state"]) state.dataset["fresh"] = "";
  enliven(target);
  if (focused) restoreFocus(target, focused);
  if (fragment.say) announce(fragment.say);
}

// A link of the list may have the focus when the list changes: its successor must have it afterwards.
function focusPath(target: HTMLElement): string | null {
  const active = document.activeElement;
  return active instanceof HTMLAnchorElement && target.contains(active) ? active.getAttribute("href") : null;
}

function restoreFocus(target: HTMLElement, href: string): void {
  target.querySelector<HTMLElement>(`a[href=${JSON.stringify(href)}]`)?.focus({ preventScroll: true });
}

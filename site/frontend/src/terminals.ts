// The terminals of a lab (an island: loaded when the first one is opened). Each is an xterm.js on a WebSocket to a shell
// that lives on the server: a break in the connection, or a reload of the page, loses nothing (see pages/terminal.py).
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal } from "@xterm/xterm";
import { colours, hex, scheme, whenColoursChange } from "./colours";
import { meta } from "./dom";
import { ask } from "./server";
import { isShown } from "./workbench";
import { type OpenShell, lab, loadStyle, problem, wish } from "./workpane";

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;
const PROMPT_PATIENCE_MS = 8000;
const ACKNOWLEDGE_BYTES = 65_536;
const GONE = 4404;
const READ_ALOUD = "meshdojo-read-aloud";

interface Said {
  at?: number;
  ran?: boolean;
  busy?: string;
  exited?: number;
}

const all: TerminalTab[] = [];
let current: TerminalTab | undefined;

class TerminalTab {
  readonly tab: HTMLButtonElement;
  readonly body: HTMLElement;
  readonly screen: Terminal;
  exited = false;
  private readonly fitting = new FitAddon();
  private socket: WebSocket | undefined;
  private place = 0;
  private acknowledged = 0;
  private retry = FIRST_RETRY_MS;
  private closed = false;
  private answer: ((said: Said) => void) | undefined;

  constructor(readonly shell: OpenShell) {
    this.tab = tabButton(shell);
    this.tab.addEventListener("click", () => choose(this));
    this.body = document.createElement("div");
    this.body.className = "shell";
    this.body.hidden = true;
    holder().append(this.body);
    this.screen = new Terminal({
      allowProposedApi: false,
      cursorBlink: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: '"Geist Mono Variable", ui-monospace, "SF Mono", Menlo, Consolas, monospace',
      fontSize: 13,
      lineHeight: 1.25,
      minimumContrastRatio: 4.5,
      scrollback: 10_000,
      screenReaderMode: localStorage.getItem(READ_ALOUD) === "yes",
      theme: theme(),
    });
    this.screen.loadAddon(this.fitting);
    this.screen.attachCustomKeyEventHandler((event) => this.isOurs(event));
    this.screen.onData((text) => this.type(new TextEncoder().encode(text)));
    this.screen.onBinary((text) => this.type(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    this.screen.onResize(({ cols, rows }) => this.say({ resize: [cols, rows] }));
  }

  open(): void {
    this.body.hidden = false;
    if (!this.screen.element) {
      this.screen.open(this.body);
      this.screen.textarea?.setAttribute("aria-label", `${this.shell.name}. F6 leads out of it.`);
      new ResizeObserver(() => this.fit()).observe(this.body);
      this.fit();
      this.connect();
    }
    this.fit();
  }

  fit(): void {
    if (this.body.clientWidth > 20 && this.body.clientHeight > 20) this.fitting.fit();
  }

  /** Keys that the shell gets; false for those that the page wants. */
  private isOurs(event: KeyboardEvent): boolean {
    if (event.key === "F6") return false;
    if (event.type === "keydown" && event.ctrlKey && event.shiftKey && event.key === "C" && this.screen.hasSelection()) {
      void navigator.clipboard?.writeText(this.screen.getSelection());
      event.preventDefault();
      return false;
    }
    return !(event.ctrlKey && event.shiftKey && event.key === "V"); // the browser pastes
  }

  private type(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes);
  }

  private say(body: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(body));
  }

  private connect(): void {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
    const socket = new WebSocket(`${address}/shells/${this.shell.id}?from=${this.place}`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.retry = FIRST_RETRY_MS;
      this.body.toggleAttribute("data-lost", false);
      this.say({ resize: [this.screen.cols, this.screen.rows] });
    });
    socket.addEventListener("message", (event: MessageEvent<ArrayBuffer | string>) => {
      if (typeof event.data === "string") this.heard(JSON.parse(event.data) as Said);
      else this.show(new Uint8Array(event.data));
    });
    socket.addEventListener("close", (event) => this.lost(event.code));
  }

  private show(bytes: Uint8Array): void {
    this.place += bytes.length;
    const place = this.place;
    this.screen.write(bytes, () => {
      if (place - this.acknowledged < ACKNOWLEDGE_BYTES) return;
      this.acknowledged = place;
      this.say({ read: place });
    });
  }

  private heard(said: Said): void {
    if (said.at !== undefined) {
      if (said.at !== this.place) this.screen.write("\x1b[0m\x1b[2m… (output left out)\x1b[0m\r\n");
      this.place = this.acknowledged = said.at;
    }
    if (said.exited !== undefined) {
      this.exited = true;
      this.closed = true;
      this.screen.options.cursorBlink = false;
      this.screen.write("\r\n\x1b[2m[the shell has ended; press Enter for a new one]\x1b[0m\r\n");
      this.screen.onData((text) => text === "\r" && void replace(this));
    }
    if (said.ran || said.busy !== undefined) this.answer?.(said);
  }

  private lost(code: number): void {
    this.answer?.({ busy: "a lost connection" });
    if (this.closed) return;
    if (code === GONE) {
      this.exited = this.closed = true;
      this.screen.write("\r\n\x1b[2m[this shell ended with its meshdojo; press Enter for a new one]\x1b[0m\r\n");
      this.screen.onData((text) => text === "\r" && void replace(this));
      return;
    }
    this.body.toggleAttribute("data-lost", true);
    setTimeout(() => this.connect(), this.retry);
    this.retry = Math.min(this.retry * 2, LONGEST_RETRY_MS);
  }

  /** Wait for the prompt, then have the command pasted and run; the name of the program that is in the way, or ''. */
  async run(text: string): Promise<string> {
    const deadline = Date.now() + PROMPT_PATIENCE_MS;
    while (!this.screen.modes.bracketedPasteMode && Date.now() < deadline) {
      await new Promise((resume) => setTimeout(resume, 50));
      if (this.exited) return "an ended shell";
      if (this.place > 0 && Date.now() > deadline - PROMPT_PATIENCE_MS / 2) break;
    }
    const answered = new Promise<Said>((resolve) => (this.answer = resolve));
    this.say({ run: text });
    const said = await answered;
    this.answer = undefined;
    this.screen.scrollToBottom();
    return said.busy ?? "";
  }

  recolour(): void {
    this.screen.options.theme = theme();
  }

  dispose(): void {
    this.closed = true;
    this.socket?.close();
    this.screen.dispose();
    this.body.remove();
    this.tab.remove();
  }
}

/** The shells that were open already. */
export async function restore(open: OpenShell[]): Promise<void> {
  await loadStyle();
  for (const shell of open) if (!all.some((one) => one.shell.id === shell.id)) all.push(new TerminalTab(shell));
  if (all.length && !current) choose(all[0] as TerminalTab, false);
}

/** Open one more terminal. */
export async function add(): Promise<TerminalTab> {
  await loadStyle();
  problem("");
  const shell = await ask<OpenShell>(`/labs/${lab()}/shells`, { columns: 80, rows: 24 });
  const added = new TerminalTab(shell);
  all.push(added);
  choose(added);
  return added;
}

/** Run a command in the terminal that is shown, or in a new one where a program has that. */
export async function run(text: string): Promise<void> {
  if (!current || current.exited) await add();
  else choose(current, false);
  const busy = await (current as TerminalTab).run(text);
  if (!busy) return;
  await add();
  await (current as TerminalTab).run(text);
}

async function replace(ended: TerminalTab): Promise<void> {
  await discard(ended);
  await add();
}

async function discard(one: TerminalTab): Promise<void> {
  await ask(`/shells/${one.shell.id}/close`, {}).catch(() => undefined);
  all.splice(all.indexOf(one), 1);
  one.dispose();
  if (current === one) current = undefined;
  const next = all.at(-1);
  if (next) choose(next);
  else update();
}

function choose(one: TerminalTab, focus = true): void {
  current = one;
  wish("workwanted", "terminal");
  update();
  one.open();
  if (focus) one.screen.focus();
}

/** The pane shows terminals now, or something else. */
export function shown(terminals: boolean): void {
  if (terminals && !current && all[0]) current = all[0];
  update(terminals);
  if (terminals) current?.open();
}

/** Give the focus to the terminal that is shown. */
export function focus(): void {
  current?.screen.focus();
}

function update(terminals = true): void {
  for (const one of all) {
    const on = terminals && one === current;
    one.body.hidden = one !== current;
    one.tab.setAttribute("aria-selected", String(on));
    one.tab.tabIndex = on ? 0 : -1;
  }
  const none = all.length === 0;
  for (const place of document.querySelectorAll<HTMLElement>("[data-terminal-empty], #tab-terminal")) place.hidden = !none;
  for (const place of document.querySelectorAll<HTMLElement>("[data-new-terminal], [data-close-terminal]")) {
    place.hidden = none || !terminals;
  }
  const panel = document.getElementById("work-terminal");
  panel?.setAttribute("aria-labelledby", current ? current.tab.id : "tab-terminal");
}

function tabButton(shell: OpenShell): HTMLButtonElement {
  const placeholder = document.getElementById("tab-terminal") as HTMLButtonElement;
  const tab = placeholder.cloneNode(true) as HTMLButtonElement;
  tab.id = `tab-${shell.id}`;
  tab.hidden = false;
  (tab.querySelector("span") as HTMLElement).textContent = shell.name;
  document.getElementById("tab-editor")?.before(tab);
  return tab;
}

function holder(): HTMLElement {
  return document.querySelector("[data-terminals]") as HTMLElement;
}

const TOKENS = ["ink", "ink-2", "ink-3", "canvas", "accent", "line-strong"] as const;
const PALETTE = {
  light: ["#3b4252", "#b3261e", "#0f6b47", "#7a5200", "#3b45c4", "#93306c", "#0b6577", "#626c7c"],
  dark: ["#8a93a3", "#ff8f7e", "#64d6a4", "#f1c468", "#aab3ff", "#f0a2d0", "#74d3e6", "#d6dbe3"],
} as const;
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;

function theme(): ITheme {
  const page = colours(TOKENS);
  const found: Record<string, string> = {
    background: hex(page["canvas"]),
    foreground: hex(page["ink"]),
    cursor: hex(page["accent"]),
    cursorAccent: hex(page["canvas"]),
    selectionBackground: `${hex(page["accent"])}44`,
    scrollbarSliderBackground: `${hex(page["line-strong"])}55`,
  };
  const palette = PALETTE[scheme()];
  NAMES.forEach((name, index) => {
    found[name] = palette[index] ?? "";
    found[`bright${name[0]?.toUpperCase()}${name.slice(1)}`] = palette[index] ?? "";
  });
  return found;
}

/** Whether what is printed is read aloud: kept, and true for every terminal at once. */
export function readAloud(on: boolean): void {
  localStorage.setItem(READ_ALOUD, on ? "yes" : "no");
  for (const one of all) one.screen.options.screenReaderMode = on;
}

document.querySelector("[data-new-terminal]")?.addEventListener("click", () => {
  add().catch((error: unknown) => problem(String(error instanceof Error ? error.message : error)));
});
document.querySelector("[data-close-terminal]")?.addEventListener("click", () => current && void discard(current));
document.addEventListener("panelayout", () => isShown("work") && current?.fit());
whenColoursChange(() => all.forEach((one) => one.recolour()));
if (!meta("csrf-token")) problem("This page is from an earlier visit. Reload it.");

// A member's terminals, read-only: what their meshdojo sends of what they print.
import { type ITheme, Terminal } from "@xterm/xterm";
import { colours, hex, scheme, whenColoursChange } from "./colours";
import { meta } from "./dom";

export interface ScreenPiece {
  terminal: string;
  title: string;
  place: number;
  columns: number;
  rows: number;
  data: string;
}

interface Shown {
  screen: Terminal;
  end: number;
}

const shown = new Map<string, Promise<Shown>>();
let styled: Promise<void> | undefined;

export async function show(piece: ScreenPiece): Promise<void> {
  let view = shown.get(piece.terminal);
  if (!view) {
    view = open(piece);
    shown.set(piece.terminal, view);
  }
  const one = await view;
  const bytes = Uint8Array.from(atob(piece.data), (letter) => letter.charCodeAt(0));
  if (one.screen.cols !== piece.columns || one.screen.rows !== piece.rows) one.screen.resize(piece.columns, piece.rows);
  if (piece.place !== one.end) {
    // Something was left out, or begins anew: what follows replaces what is there.
    const known = one.end - piece.place;
    if (known > 0 && known <= bytes.length && one.end > 0) {
      one.screen.write(bytes.subarray(known));
      one.end = piece.place + bytes.length;
      return;
    }
    one.screen.reset();
  }
  one.screen.write(bytes);
  one.end = piece.place + bytes.length;
}

async function open(piece: ScreenPiece): Promise<Shown> {
  await styles();
  const holder = document.querySelector<HTMLElement>("[data-screens]");
  const figure = document.createElement("figure");
  figure.className = "screen";
  const caption = document.createElement("figcaption");
  caption.textContent = piece.title;
  const body = document.createElement("div");
  body.className = "screen-body";
  figure.append(caption, body);
  holder?.append(figure);
  const screen = new Terminal({
    cols: piece.columns,
    rows: piece.rows,
    disableStdin: true,
    cursorBlink: false,
    fontFamily: '"Geist Mono Variable", ui-monospace, "SF Mono", Menlo, Consolas, monospace',
    fontSize: 13,
    lineHeight: 1.25,
    minimumContrastRatio: 4.5,
    scrollback: 5000,
    screenReaderMode: true,
    theme: theme(),
  });
  screen.open(body);
  body.querySelector("textarea")?.setAttribute("aria-label", `${piece.title}, read-only`);
  whenColoursChange(() => {
    screen.options.theme = theme();
  });
  return { screen, end: -1 };
}

function theme(): ITheme {
  const found = colours(["ink", "canvas", "accent"]);
  return {
    foreground: hex(found["ink"]),
    background: hex(found["canvas"]),
    cursor: hex(found["accent"]),
    selectionBackground: scheme() === "dark" ? "#3a4170" : "#c9cef8",
  };
}

function styles(): Promise<void> {
  styled ??= new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = meta("xterm-style");
    link.addEventListener("load", () => resolve());
    link.addEventListener("error", () => resolve());
    document.head.append(link);
  });
  return styled;
}

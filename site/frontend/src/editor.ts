// The YAML editor (an island: loaded when it is opened). It completes, explains and checks by the schemas of the
// cluster, compares with what is there, and applies with kubectl.
import { autocompletion, type Completion, type CompletionContext, type CompletionResult, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, forceLinting, lintGutter, lintKeymap, linter } from "@codemirror/lint";
import { unifiedMergeView } from "@codemirror/merge";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension, StateEffect } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, hoverTooltip, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { type Document, LineCounter, type Node, isMap, isSeq, parseAllDocuments } from "yaml";
import { announce } from "./dom";
import { make } from "./meshtypes";
import { type Kind, type Schema, kindOf, misfits, schemaAt, typeOf } from "./schema";
import { ask, words } from "./server";
import { lab, loadStyle } from "./workpane";
import { type Path, documentAround, placeAt } from "./yamlpath";

const DRAFT = `meshdojo-draft-${lab()}`;
const CHECK_MS = 1200;
const EMPTY = `# Write a manifest here, or open one. Ctrl-S applies it, Ctrl-Space completes.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
  namespace: fleet
spec:
  hosts: []
`;
const API_VERSIONS = [
  ...["networking.istio.io/v1", "security.istio.io/v1", "telemetry.istio.io/v1", "v1", "apps/v1", "batch/v1"],
];
const KINDS: Record<string, string[]> = {
  "networking.istio.io/v1": ["DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "VirtualService", "WorkloadEntry"],
  "security.istio.io/v1": ["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"],
  "telemetry.istio.io/v1": ["Telemetry"],
  v1: ["ConfigMap", "Namespace", "Pod", "Secret", "Service", "ServiceAccount"],
  "apps/v1": ["Deployment", "StatefulSet", "DaemonSet"],
  "batch/v1": ["Job", "CronJob"],
};

interface Applied {
  ok: boolean;
  said: string;
  complaints: string;
}

// The server has answered: what it complains of is to be marked.
const answered = StateEffect.define<null>();

let view: EditorView | undefined;
let mounted: Promise<void> | undefined;
let fromServer: { text: string; diagnostics: Diagnostic[] } = { text: "", diagnostics: [] };
let checking: number | undefined;
let fileName = "";

export function mount(): Promise<void> {
  mounted ??= build().then(() => undefined);
  return mounted;
}

async function build(): Promise<void> {
  const panel = document.querySelector("[data-editor]") as HTMLElement;
  const apply = button("button", "Apply", "Apply to the cluster (Ctrl-S)", () => void applyAll());
  const diff = button("button-quiet", "Compare", "What would change in the cluster", () => void compare());
  const save = button("button-quiet", "Save as…", "Save into the lab’s folder, where the terminals start", () => void saveAs());
  const open = make("select", { class: "editor-open", "aria-label": "Open" }) as HTMLSelectElement;
  open.append(new Option("Open…", ""));
  open.addEventListener("focus", () => void fillChoices(open));
  open.addEventListener("change", () => void openChoice(open));
  const host = make("div", { class: "editor-host" });
  const outcome = make("div", { class: "editor-outcome", role: "status", hidden: "" });
  panel.append(make("div", { class: "editor-bar" }, open, save, diff, apply), host, outcome);
  void loadStyle();
  // In a shadow root CodeMirror puts its styles into constructed sheets, which our policy allows.
  const root = host.attachShadow({ mode: "open" });
  const inner = document.createElement("div");
  inner.style.height = "100%";
  root.append(inner);
  view = new EditorView({ parent: inner, root, state: stateOf(localStorage.getItem(DRAFT) ?? EMPTY) });
  scheduleCheck();
  void fillChoices(open);
}

function stateOf(text: string): EditorState {
  return EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(),
      lintGutter(),
      history(),
      drawSelection(),
      indentOnInput(),
      bracketMatching(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      indentUnit.of("  "),
      yaml(),
      autocompletion({ override: [complete], icons: false }),
      hoverTooltip(explain),
      linter(lint, {
        delay: 300,
        needsRefresh: (update) => update.transactions.some((one) => one.effects.some((effect) => effect.is(answered))),
      }),
      looks,
      EditorView.contentAttributes.of({ "aria-label": "Manifest, YAML. F6 leads out of it, Escape and Tab too." }),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        localStorage.setItem(DRAFT, update.state.doc.toString());
        scheduleCheck();
      }),
      keymap.of([
        { key: "Mod-s", preventDefault: true, run: () => (void applyAll(), true) },
        { key: "Mod-Enter", run: () => (void applyAll(), true) },
        { key: "Mod-Shift-d", preventDefault: true, run: () => (void compare(), true) },
        ...lintKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...defaultKeymap,
        indentWithTab,
      ]),
    ],
  });
}

// What is written

interface Part {
  text: string;
  first: number; // the number of its first line, from 0
  document: Document.Parsed;
  from: number;
}

/** The documents of the text, without the empty ones. */
function parts(text: string): { parts: Part[]; counter: LineCounter } {
  const counter = new LineCounter();
  const found = parseAllDocuments(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true });
  const documents = Array.isArray(found) ? (found as Document.Parsed[]) : [];
  return {
    counter,
    parts: documents
      .filter((document) => document.contents !== null || document.errors.length)
      .map((document) => {
        const [from = 0, , end = text.length] = document.range ?? [];
        const begin = text.lastIndexOf("\n---", from) >= 0 ? from : 0;
        const piece = text.slice(begin, end).replace(/^---[^\n]*\n/, (mark) => " ".repeat(mark.length - 1) + "\n");
        return { text: piece, first: counter.linePos(begin).line - 1, document, from: begin };
      }),
  };
}

async function kindAround(lines: string[]): Promise<Kind | undefined> {
  const value = (name: string): string => new RegExp(`^${name}:\\s*["']?([^"'#\\s]+)`, "m").exec(lines.join("\n"))?.[1] ?? "";
  const [apiVersion, kind] = [value("apiVersion"), value("kind")];
  if (!apiVersion || !kind) return undefined;
  const found = await kindOf(apiVersion, kind);
  return typeof found === "string" ? undefined : found;
}

async function complete(context: CompletionContext): Promise<CompletionResult | null> {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const word = /[A-Za-z0-9_./-]*$/.exec(before)?.[0] ?? "";
  if (!context.explicit && !word && !/:\s$/.test(before)) return null;
  if (/#/.test(before)) return null;
  const lines = context.state.doc.toString().split("\n");
  const around = documentAround(lines, line.number - 1);
  const place = placeAt(around.lines, line.number - 1 - around.first, before.length);
  const from = context.pos - word.length;
  if (place.kind === "value") {
    const options = await values(place.path, place.key, around.lines);
    return options.length ? { from, options, validFor: /^[\w./-]*$/ } : null;
  }
  const kind = await kindAround(around.lines);
  const options = kind ? keys(schemaAt(kind, place.path), place.siblings, place.indent) : place.path.length ? [] : top(place.siblings);
  return options.length ? { from, options, validFor: /^[\w-]*$/ } : null;
}

function top(siblings: string[]): Completion[] {
  return ["apiVersion", "kind", "metadata", "spec"]
    .filter((key) => !siblings.includes(key))
    .map((key) => ({ label: key, type: "property", apply: `${key}: ` }));
}

function keys(schema: Schema | undefined, siblings: string[], indent: number): Completion[] {
  if (schema?.type === "array" || !schema?.properties) return [];
  const deeper = " ".repeat(indent + 2);
  return Object.entries(schema.properties)
    .filter(([key]) => !siblings.includes(key) && key !== "status")
    .map(([key, property]) => {
      const list = property.type === "array";
      const map = property.type === "object" || property.$ref || property.allOf || property.properties;
      const text = list ? `${key}:\n${deeper}- ` : map ? `${key}:\n${deeper}` : `${key}: `;
      return {
        label: key,
        type: "property",
        detail: typeOf(property),
        info: shorten(property.description ?? ""),
        boost: schema.required?.includes(key) ? 2 : 0,
        apply: (editor: EditorView, _completion: Completion, from: number, to: number) => {
          editor.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length }, userEvent: "input.complete" });
          setTimeout(() => startCompletion(editor), 0);
        },
      };
    });
}

async function values(path: Path, key: string, lines: string[]): Promise<Completion[]> {
  if (!path.length && key === "apiVersion") return API_VERSIONS.map((label) => ({ label, type: "constant" }));
  if (!path.length && key === "kind") {
    const version = /^apiVersion:\s*["']?([^"'#\s]+)/m.exec(lines.join("\n"))?.[1] ?? "";
    return (KINDS[version] ?? Object.values(KINDS).flat()).map((label) => ({ label, type: "class" }));
  }
  const kind = await kindAround(lines);
  const schema = kind && schemaAt(kind, [...path, key]);
  const choices = schema?.enum ?? (schema?.type === "boolean" ? [true, false] : []);
  return choices.filter((one) => one !== "").map((one) => ({ label: String(one), type: "enum" }));
}

function shorten(text: string): string {
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

async function explain(editor: EditorView, position: number): Promise<{ pos: number; end: number; create: () => { dom: HTMLElement } } | null> {
  const line = editor.state.doc.lineAt(position);
  const lines = editor.state.doc.toString().split("\n");
  const around = documentAround(lines, line.number - 1);
  const place = placeAt(around.lines, line.number - 1 - around.first, position - line.from);
  if (!place.key) return null;
  const kind = await kindAround(around.lines);
  const schema = kind && schemaAt(kind, [...place.path, place.key]);
  if (!schema) return null;
  const start = line.from + line.text.indexOf(place.key, Math.max(0, place.indent - 1));
  const dom = make("div", { class: "explain" }, make("strong", {}, place.key), make("span", {}, ` ${typeOf(schema)}`));
  if (schema.description) dom.append(make("p", {}, shorten(schema.description)));
  if (schema.enum) dom.append(make("p", {}, `One of ${schema.enum.filter((one) => one !== "").map(String).join(", ")}.`));
  return { pos: start, end: start + place.key.length, create: () => ({ dom }) };
}

// What is wrong with it

async function lint(editor: EditorView): Promise<Diagnostic[]> {
  const text = editor.state.doc.toString();
  const found: Diagnostic[] = [];
  for (const part of parts(text).parts) {
    for (const error of part.document.errors) {
      const [from, to] = error.pos;
      found.push({ from, to: Math.max(to, from + 1), severity: "error", message: error.message, source: "YAML" });
    }
    if (part.document.errors.length) continue;
    found.push(...(await misfitsOf(part)));
  }
  const length = text.length;
  const all = [...found, ...(fromServer.text === text ? fromServer.diagnostics : [])];
  return all.map((one) => ({ ...one, from: Math.min(one.from, length), to: Math.min(one.to, length) }));
}

async function misfitsOf(part: Part): Promise<Diagnostic[]> {
  const value = part.document.toJS() as { apiVersion?: unknown; kind?: unknown } | null;
  if (typeof value !== "object" || value === null) return [];
  const { apiVersion, kind: name } = value;
  if (typeof apiVersion !== "string" || typeof name !== "string") {
    const range = rangeOf(part, [], [], false);
    return [{ ...range, severity: "error", message: "A manifest begins with apiVersion and kind.", source: "Kubernetes" }];
  }
  const kind = await kindOf(apiVersion, name);
  if (typeof kind === "string") return [{ ...rangeOf(part, ["kind"], [], false), severity: "warning", message: kind, source: "cluster" }];
  return misfits(kind, value).map((one) => ({
    ...rangeOf(part, one.path, one.index, one.onKey),
    severity: "error",
    message: one.message,
    source: name,
  }));
}

/** Where a path of the document is in the text; as near as it exists. */
function rangeOf(part: Part, path: Path, index: number[], onKey: boolean): { from: number; to: number } {
  let node: Node | null = part.document.contents as Node | null;
  let range = node?.range ?? [part.from, part.from + 1, part.from + 1];
  const places = [...index];
  path.forEach((key, depth) => {
    if (isSeq(node) && key === "[]") node = (node.items[places.shift() ?? 0] as Node | undefined) ?? null;
    else if (isMap(node)) {
      const pair = node.items.find((one) => String((one.key as { value?: unknown })?.value ?? one.key) === key);
      const keyRange = (pair?.key as Node | undefined)?.range;
      if (keyRange) range = keyRange;
      node = (pair?.value as Node | undefined) ?? null;
      if (depth === path.length - 1 && onKey) return;
    }
    if (node?.range && !(onKey && depth === path.length - 1)) range = isMap(node) || isSeq(node) ? [node.range[0], node.range[0] + 1, 0] : node.range;
  });
  return { from: range[0], to: Math.max(range[1], range[0] + 1) };
}

/** Complaints of the server, each at the field that it names: 'spec.http[0].route[1].weight: …', '"spec.hots"'. */
function complaintsAt(part: Part, text: string, severity: "error" | "warning"): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const warning = line.startsWith("Warning:");
    const fields = [...line.matchAll(/\b(?:spec|metadata|status|data|subsets)(?:\.[A-Za-z][\w-]*|\[[^\]]+\])+/g)].map((match) => match[0]);
    const ranges = fields.length ? fields.map((field) => fieldRange(part, field)) : [guess(part, line)];
    const row = /line (\d+)/.exec(line);
    const first = view && row ? view.state.doc.line(Math.min(view.state.doc.lines, part.first + Number(row[1]))) : undefined;
    for (const range of first ? [{ from: first.from, to: first.to }] : ranges.slice(0, 3)) {
      found.push({ ...range, severity: warning ? "warning" : severity, message: line.replace(/^Warning: /, ""), source: "server" });
    }
  }
  return found;
}

function fieldRange(part: Part, field: string): { from: number; to: number } {
  const path: Path = [];
  const index: number[] = [];
  for (const match of field.matchAll(/([A-Za-z][\w-]*)|\[(\d+)\]/g)) {
    if (match[2] !== undefined) {
      path.push("[]");
      index.push(Number(match[2]));
    } else path.push(match[1] ?? "");
  }
  return rangeOf(part, path, index, true);
}

/** A complaint that names no path: at a value that it quotes, else at the document's kind. */
function guess(part: Part, line: string): { from: number; to: number } {
  for (const [, quoted = ""] of line.matchAll(/["'“]([^"'”]{2,80})["'”]/g)) {
    const at = part.text.indexOf(quoted);
    if (at >= 0 && !/^(STDIN|validation\.istio\.io)$/.test(quoted)) return { from: part.from + at, to: part.from + at + quoted.length };
  }
  const words = [...line.matchAll(/\b([a-z]+(?:[A-Z][a-z]*)+|weight|host|hosts|subset|port|match|route|selector)\b/g)].map((match) => match[1] ?? "");
  for (const word of words) {
    const at = part.text.search(new RegExp(`\\b${word}\\s*:`));
    if (at >= 0) return { from: part.from + at, to: part.from + at + word.length };
  }
  return rangeOf(part, ["kind"], [], true);
}

/** A while after the last key: ask the server what it would say. */
function scheduleCheck(): void {
  clearTimeout(checking);
  checking = setTimeout(() => void check(), CHECK_MS);
}

async function check(): Promise<void> {
  if (!view) return;
  const text = view.state.doc.toString();
  const found = parts(text).parts;
  if (!found.length || found.some((part) => part.document.errors.length)) return;
  for (const part of found) if ((await misfitsOf(part)).some((one) => one.severity === "error")) return;
  try {
    showComplaints(text, found, await ask<Applied[]>("/editor/check", { documents: found.map((part) => part.text) }));
  } catch {
    // No cluster now: applying says so.
  }
}

function showComplaints(text: string, found: Part[], answers: Applied[]): void {
  const diagnostics = answers.flatMap((answer, index) => {
    const part = found[index];
    return part ? complaintsAt(part, answer.complaints, answer.ok ? "warning" : "error") : [];
  });
  fromServer = { text, diagnostics };
  view?.dispatch({ effects: answered.of(null) });
  if (view) forceLinting(view);
}

// What is done with it

async function applyAll(): Promise<void> {
  if (!view) return;
  leaveComparison();
  const text = view.state.doc.toString();
  const found = parts(text).parts;
  const broken = found.find((part) => part.document.errors.length);
  if (!found.length || broken) return say(false, broken ? "The YAML is broken; the marked line says where." : "There is nothing to apply.");
  say(true, "Applying…");
  try {
    const answers = await ask<Applied[]>("/editor/apply", { documents: found.map((part) => part.text) });
    showComplaints(text, found, answers);
    const good = answers.every((answer) => answer.ok);
    const left = found.length - answers.length;
    const lines = answers.flatMap((answer) => [answer.said, answer.complaints]).filter(Boolean);
    if (left) lines.push(`The ${left === 1 ? "document" : `${left} documents`} after it ${left === 1 ? "was" : "were"} left out.`);
    say(good, lines.join("\n"));
  } catch (error) {
    say(false, words(error));
  }
}

let comparing = false;

async function compare(): Promise<void> {
  if (!view) return;
  if (comparing) return leaveComparison();
  const found = parts(view.state.doc.toString()).parts;
  say(true, "Comparing…");
  try {
    const answers = await ask<{ before: string; after: string; complaints: string }[]>("/editor/diff", {
      documents: found.map((part) => part.text),
    });
    const refused = answers.find((answer) => !answer.after);
    if (refused) return say(false, refused.complaints);
    const [before, after] = (["before", "after"] as const).map((name) => answers.map((answer) => answer[name]).join("---\n"));
    if (before === after) return say(true, "Nothing would change: the cluster has exactly this.");
    showComparison(before ?? "", after ?? "");
    say(true, "Red lines would go, green lines would come. Compare again to leave.");
  } catch (error) {
    say(false, words(error));
  }
}

function showComparison(before: string, after: string): void {
  const host = document.querySelector<HTMLElement>(".editor-host");
  if (!host?.shadowRoot || !view) return;
  comparing = true;
  view.dom.hidden = true;
  const inner = make("div", { class: "comparison" });
  host.shadowRoot.append(inner);
  new EditorView({
    parent: inner,
    root: host.shadowRoot,
    state: EditorState.create({
      doc: after,
      extensions: [
        lineNumbers(),
        yaml(),
        looks,
        EditorState.readOnly.of(true),
        EditorView.contentAttributes.of({ "aria-label": "What would change" }),
        unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged: { margin: 3 } }),
      ],
    }),
  });
  for (const button of document.querySelectorAll("[data-editor] .editor-bar button")) {
    if (button.textContent === "Compare") button.textContent = "Back";
  }
}

function leaveComparison(): void {
  if (!comparing || !view) return;
  comparing = false;
  document.querySelector(".editor-host")?.shadowRoot?.querySelector(".comparison")?.remove();
  view.dom.hidden = false;
  for (const button of document.querySelectorAll("[data-editor] .editor-bar button")) {
    if (button.textContent === "Back") button.textContent = "Compare";
  }
  say(true, "");
}

function say(good: boolean, text: string): void {
  const outcome = document.querySelector<HTMLElement>(".editor-outcome");
  if (!outcome) return;
  outcome.hidden = !text;
  outcome.textContent = text;
  outcome.dataset["good"] = String(good);
  if (!good) announce(text.split("\n")[0] ?? "");
}

// What is opened and saved

interface Choices {
  files: string[];
  objects: { kind: string; namespace: string; name: string }[];
}

let filled = 0;

async function fillChoices(select: HTMLSelectElement): Promise<void> {
  if (Date.now() - filled < 3000) return;
  filled = Date.now();
  try {
    const found = await ask<Choices>(`/labs/${lab()}/editor`);
    const groups = [
      group("Files of this lab", found.files.map((name) => [name, JSON.stringify({ file: name })])),
      group("In the cluster", found.objects.map((one) => [`${one.kind} ${one.namespace ?? ""}/${one.name}`, JSON.stringify(one)])),
    ];
    const chosen = select.value;
    select.replaceChildren(new Option("Open…", ""), ...groups.filter((one) => one.childElementCount));
    select.value = chosen;
  } catch {
    // It stays as it is.
  }
}

function group(label: string, entries: [string, string][]): HTMLElement {
  const element = make("optgroup", { label });
  for (const [text, value] of entries) element.append(new Option(text, value));
  return element;
}

async function openChoice(select: HTMLSelectElement): Promise<void> {
  if (!select.value) return;
  const choice = JSON.parse(select.value) as { file?: string; kind?: string; namespace?: string; name?: string };
  select.value = "";
  try {
    if (choice.file) {
      show((await ask<{ text: string }>(`/labs/${lab()}/files/${encodeURIComponent(choice.file)}`)).text);
      fileName = choice.file;
    } else await openObject(choice.kind ?? "", choice.namespace ?? "", choice.name ?? "");
  } catch (error) {
    say(false, words(error));
  }
}

export async function openObject(kind: string, namespace: string, name: string): Promise<void> {
  const query = new URLSearchParams({ kind, namespace, name });
  try {
    show((await ask<{ text: string }>(`/editor/object?${query}`)).text);
  } catch (error) {
    say(false, words(error));
  }
}

/** Replace the text; Ctrl-Z brings the former one back. */
function show(text: string): void {
  leaveComparison();
  say(true, "");
  view?.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 }, scrollIntoView: true });
  view?.focus();
}

export function focus(): void {
  view?.focus();
}

async function saveAs(): Promise<void> {
  const name = window.prompt("Name of the file, in the lab’s folder", fileName || "manifest.yaml");
  if (!name || !view) return;
  try {
    await ask(`/labs/${lab()}/files`, { name, text: view.state.doc.toString() });
    fileName = name;
    filled = 0;
    say(true, `Saved as ${name}. In a terminal: kubectl apply -f ${name}`);
  } catch (error) {
    say(false, words(error));
  }
}

function button(name: string, text: string, title: string, run: () => void): HTMLElement {
  const element = make("button", { type: "button", class: name, title }, text);
  element.addEventListener("click", run);
  return element;
}

// How it looks: the page's own colours, which follow the theme by themselves.
const looks: Extension = [
  EditorView.theme({
    "&": { height: "100%", fontSize: "13px", color: "var(--ink)", backgroundColor: "var(--canvas)" },
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "var(--mono-work)", lineHeight: "1.55" },
    ".cm-content": { caretColor: "var(--accent)", padding: "8px 0" },
    ".cm-cursor": { borderLeftColor: "var(--accent)" },
    ".cm-gutters": { backgroundColor: "var(--canvas)", color: "var(--ink-3)", border: "none" },
    ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
      backgroundColor: "color-mix(in srgb, var(--accent) 24%, transparent)",
    },
    ".cm-tooltip": {
      ...{ border: "1px solid var(--line)", borderRadius: "8px", backgroundColor: "var(--raised)", color: "var(--ink)" },
      ...{ boxShadow: "var(--shadow-high)", overflow: "hidden" },
    },
    ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono-work)", maxHeight: "14em" },
    ".cm-tooltip-autocomplete > ul > li": { padding: "2px 10px", color: "var(--ink)" },
    ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
    ".cm-completionDetail": { color: "inherit", opacity: "0.75", fontStyle: "normal" },
    ".cm-tooltip.cm-completionInfo, .explain": { padding: "8px 12px", maxWidth: "26rem", fontFamily: "var(--sans)", lineHeight: "1.45" },
    ".explain p": { margin: "4px 0 0" },
    ".explain span": { color: "var(--ink-3)" },
    ".cm-diagnostic": { padding: "6px 12px", fontFamily: "var(--sans)", borderLeft: "3px solid var(--bad)" },
    ".cm-diagnostic-warning": { borderLeftColor: "var(--wait)" },
    ".cm-diagnosticSource": { color: "var(--ink-3)", opacity: "1" },
    ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad) 1px", textUnderlineOffset: "3px" },
    ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--wait) 1px", textUnderlineOffset: "3px" },
    ".cm-panels": { backgroundColor: "var(--paper)", color: "var(--ink)" },
    ".cm-deletedChunk, .cm-deletedLine": { backgroundColor: "color-mix(in srgb, var(--bad) 14%, transparent)" },
    ".cm-changedLine, .cm-insertedLine": { backgroundColor: "color-mix(in srgb, var(--pass) 14%, transparent)" },
    ".cm-changedText": { background: "color-mix(in srgb, var(--pass) 26%, transparent)" },
    ".cm-deletedText": { background: "color-mix(in srgb, var(--bad) 26%, transparent)" },
    ".cm-collapsedLines": { backgroundColor: "var(--paper)", color: "var(--ink-3)", backgroundImage: "none" },
  }),
  syntaxHighlighting(
    HighlightStyle.define([
      { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
      { tag: [tags.string, tags.attributeValue, tags.content], color: "var(--code-text)" },
      { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--code-number)" },
      { tag: [tags.comment, tags.meta], color: "var(--ink-3)" },
    ]),
  ),
];

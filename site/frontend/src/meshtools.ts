// The tools of the mesh pane: the traffic switch, and the tracer that follows one request.
import { announce } from "./dom";
import { type MeshNode, type Picture, make } from "./meshtypes";
import { openPanel } from "./meshdetails";
import { ask, words } from "./server";

const RATES = [1, 5, 20];
let nodes: MeshNode[] = [];
let busy = false;

export function serveTools(): void {
  const tools = document.querySelector("[data-mesh-tools]");
  if (!tools || tools.querySelector("[role=switch]")) return;
  const speed = make("select", { "aria-label": "Requests a second", class: "mesh-speed", "data-traffic-rate": "" });
  for (const rate of RATES) speed.append(new Option(`${rate}/s`, String(rate), rate === 5, rate === 5));
  speed.addEventListener("change", () => isOn() && void turn(true));
  const knob = make("button", { type: "button", role: "switch", "aria-checked": "false", class: "switch" }, "Traffic");
  knob.title = "Steady requests to the ingress gateway, from meshdojo’s probe";
  knob.addEventListener("click", () => void turn(!isOn()));
  const tracer = make("button", { type: "button", class: "button-quiet mesh-trace" }, "Trace a request");
  tracer.addEventListener("click", () => openTracer(tracer));
  tools.prepend(tracer, speed, knob);
}

function knob(): HTMLElement | null {
  return document.querySelector("[data-mesh-tools] [role=switch]");
}

function isOn(): boolean {
  return knob()?.getAttribute("aria-checked") === "true";
}

async function turn(on: boolean): Promise<void> {
  if (busy) return;
  busy = true;
  knob()?.setAttribute("aria-checked", String(on));
  const rate = Number(document.querySelector<HTMLSelectElement>("[data-traffic-rate]")?.value ?? 5);
  try {
    await ask("/mesh/traffic", { on, rate });
    announce(on ? "Traffic is on." : "Traffic is off.");
  } catch (error) {
    knob()?.setAttribute("aria-checked", String(!on));
    announce(words(error));
  } finally {
    busy = false;
  }
}

export function showTraffic(picture: Picture): void {
  nodes = picture.nodes ?? [];
  const to = document.getElementById("trace-to");
  if (to instanceof HTMLSelectElement) fillTargets(to, to.value);
  if (busy || !picture.traffic) return;
  knob()?.setAttribute("aria-checked", String(picture.traffic.on));
  knob()?.setAttribute("title", picture.traffic.problem || "Steady requests to the ingress gateway, from meshdojo’s probe");
  knob()?.toggleAttribute("data-problem", !!picture.traffic.problem);
}

interface Hop {
  node: string;
  proxy: string;
  gateway: boolean;
  direction: string;
  start: number;
  duration: number;
  service_time: number | null;
  method: string;
  path: string;
  code: number;
  flags: { flag: string; means: string }[];
  details: string;
  failure: string;
  mtls: boolean | null;
  to: string;
  cluster: string;
  route: string;
  headers: [string, string][];
}
interface Trace {
  sent: { method: string; url: string; headers: [string, string][] };
  answer: { status?: number; headers?: [string, string][]; body?: string; error?: string; detail?: string; seconds: number };
  hops: Hop[];
  source: string;
}

const kept = { to: "", method: "GET", path: "/api/vehicles", header: "" };

function openTracer(from: HTMLElement): void {
  const body = openPanel("Trace a request", from);
  const form = make("form", { class: "trace-form" });
  const to = make("select", { name: "to", id: "trace-to" }) as HTMLSelectElement;
  fillTargets(to, kept.to);
  const method = make("select", { name: "method", id: "trace-method" }) as HTMLSelectElement;
  for (const name of ["GET", "POST", "PUT", "DELETE"]) method.append(new Option(name, name));
  method.value = kept.method;
  const path = make("input", { name: "path", id: "trace-path", required: "", spellcheck: "false", autocomplete: "off" }) as HTMLInputElement;
  path.value = kept.path;
  const header = make("input", {
    ...{ name: "header", id: "trace-header", placeholder: "name: value", spellcheck: "false", autocomplete: "off" },
  }) as HTMLInputElement;
  header.value = kept.header;
  form.append(
    field("To", to),
    field("Method", method),
    field("Path", path),
    field("Header", header),
    make("button", { class: "button", type: "submit" }, "Send"),
  );
  const result = make("div", { class: "trace-result", "aria-live": "polite" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    Object.assign(kept, { to: to.value, method: method.value, path: path.value, header: header.value });
    void send(form, result);
  });
  body.append(form, result);
  path.focus();
}

// What can be asked: it may come after the form was opened, and change while it is. Nothing is touched needlessly: a
// list that is open would close.
function fillTargets(to: HTMLSelectElement, chosen: string): void {
  const services = nodes.filter((node) => node.kind === "service");
  const targets = services.map((node) => [`${node.name}.${node.namespace}, from inside`, `${node.namespace}/${node.name}`] as const);
  const wanted = [["ingress gateway, from outside", ""] as const, ...targets];
  const now = [...to.options].map((option) => option.value);
  if (now.length === wanted.length && wanted.every(([, value], place) => value === now[place])) return;
  to.replaceChildren(...wanted.map(([text, value]) => new Option(text, value)));
  to.value = wanted.some(([, value]) => value === chosen) ? chosen : "";
}

function field(label: string, input: HTMLElement): HTMLElement {
  return make("div", { class: "trace-field" }, make("label", { for: input.id }, label), input);
}

async function send(form: HTMLElement, result: HTMLElement): Promise<void> {
  const button = form.querySelector("button");
  if (button?.getAttribute("aria-disabled") === "true") return;
  button?.setAttribute("aria-disabled", "true");
  result.replaceChildren(make("p", { class: "trace-note" }, "Sent. Waiting for every proxy’s log…"));
  const [name = "", ...value] = kept.header.split(":");
  const headers = name.trim() ? [[name.trim(), value.join(":").trim()]] : [];
  try {
    const trace = await ask<Trace>("/mesh/trace", { to: kept.to, method: kept.method, path: kept.path, headers });
    result.replaceChildren(...show(trace));
  } catch (error) {
    result.replaceChildren(make("p", { class: "trace-error" }, words(error)));
  } finally {
    button?.removeAttribute("aria-disabled");
  }
}

function show(trace: Trace): HTMLElement[] {
  const { answer } = trace;
  const good = answer.status !== undefined && answer.status < 400;
  const verdict = answer.error
    ? `No answer: ${answer.error} (${answer.detail ?? ""})`
    : `${answer.status} in ${Math.round(answer.seconds * 1000)} ms`;
  const span = Math.max(1, ...trace.hops.map((hop) => hop.start + hop.duration));
  const list = make("ol", { class: "hops" });
  for (const hop of trace.hops) list.append(hopRow(hop, span));
  return [
    make("p", { class: `trace-verdict ${good ? "good" : "bad"}` }, `${trace.sent.method} ${trace.sent.url}`, make("strong", {}, verdict)),
    ...(trace.hops.length ? [list] : [make("p", { class: "trace-note" }, `No proxy logged it (${trace.source}).`)]),
    fold("Headers of the answer", headerTable(answer.headers ?? [])),
    fold("Body of the answer", make("pre", { tabindex: "0" }, answer.body ?? "")),
  ];
}

function hopRow(hop: Hop, span: number): HTMLElement {
  const title =
    hop.direction === "inbound" ? `${hop.proxy}: comes in` : `${hop.proxy}: goes out${hop.to ? ` to ${hop.to}` : ""}`;
  const bar = make("span", { class: `hop-bar${hop.code >= 500 || hop.code === 0 ? " hop-bad" : ""}`, "aria-hidden": "true" });
  bar.style.insetInlineStart = `${(hop.start / span) * 100}%`;
  bar.style.width = `${Math.max((hop.duration / span) * 100, 0.8)}%`;
  const facts: [string, string][] = [
    ["request", `${hop.method} ${hop.path}`],
    ["cluster", hop.cluster],
    ["route", hop.route],
    ["why", [hop.details, hop.failure].filter(Boolean).join(" ")],
    ...(hop.service_time === null ? [] : [["behind it", `${hop.service_time} ms`] as [string, string]]),
    ...(hop.mtls === null ? [] : [["transport", hop.mtls ? "mutual TLS" : "plain text"] as [string, string]]),
    ...hop.headers,
  ];
  const flags = hop.flags.map((flag) => make("span", { class: "hop-flag" }, `${flag.flag}${flag.means ? `: ${flag.means}` : ""}`));
  return make(
    "li",
    { class: "hop" },
    make("span", { class: "hop-head" }, make("span", { class: "hop-title" }, title), make("span", { class: "hop-figures" }, `${hop.code || "–"} · ${hop.duration} ms`)),
    make("span", { class: "hop-track", "aria-hidden": "true" }, bar),
    ...flags,
    fold("What this proxy saw", headerTable(facts.filter(([, value]) => value))),
  );
}

function headerTable(rows: [string, string][]): HTMLElement {
  const list = make("dl", { class: "facts-list" });
  for (const [name, value] of rows) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  return list;
}

export function fold(summary: string, content: HTMLElement): HTMLElement {
  return make("details", { class: "trace-fold" }, make("summary", {}, summary), content);
}

// The mesh pane (an island): the live graph, one node closely, the traffic switch, one request hop by hop.
// Nodes are ordinary buttons over a drawing of the ways between them: they can be read, focused and styled like everything
// else on the page.
import { announce } from "./dom";
import { curve, placeLabels } from "./labels";
import { type Placed, place as placeNodes } from "./layered";
import { showDetails } from "./meshdetails";
import { type Picture, type MeshNode, type Way, percent, rate, time } from "./meshtypes";
import { serveTools, showTraffic } from "./meshtools";
import { isShown } from "./workbench";

const LEAST_SCALE = 0.8;
const SVG = "http://www.w3.org/2000/svg";

let stream: EventSource | undefined;
let picture: Picture | undefined;
let shape = "";
const cards = new Map<string, HTMLButtonElement>();
const view = document.querySelector("[data-mesh-view]") as HTMLElement;

export function start(): void {
  view.replaceChildren();
  view.insertAdjacentHTML(
    "beforeend",
    `<div class="mesh-scroll" tabindex="0" role="group" aria-label="Graph of the mesh"><div class="mesh-canvas"><svg aria-hidden="true"></svg><div class="mesh-labels" aria-hidden="true"></div><div class="mesh-cards"></div></div></div>
     <ul class="visually-hidden" data-mesh-ways></ul>
     <p class="mesh-problem" role="status" hidden></p>
     <p class="mesh-source"></p>`,
  );
  serveTools();
  document.addEventListener("panelayout", connect);
  document.addEventListener("visibilitychange", connect);
  new ResizeObserver(() => picture && place(picture)).observe(view);
  connect();
}

/** Listen as long as somebody can see it. */
function connect(): void {
  const wanted = isShown("mesh") && document.visibilityState === "visible";
  if (wanted && !stream) {
    stream = new EventSource("/mesh/live");
    stream.addEventListener("picture", (event: MessageEvent<string>) => show(JSON.parse(event.data) as Picture));
  } else if (!wanted && stream) {
    stream.close();
    stream = undefined;
  }
}

function show(now: Picture): void {
  const problem = view.querySelector<HTMLElement>(".mesh-problem");
  if (problem) {
    problem.hidden = !now.problem;
    problem.textContent = now.problem ?? "";
  }
  view.querySelector<HTMLElement>(".mesh-scroll")?.toggleAttribute("data-stale", !!now.problem);
  if (now.problem || !now.nodes) return;
  tellChanges(picture, now);
  picture = now;
  (view.querySelector(".mesh-source") as HTMLElement).textContent = `Numbers: ${now.source}, last 5 s`;
  showTraffic(now);
  for (const node of now.nodes) fill(card(node.id), node);
  for (const [id, element] of cards) {
    if (now.nodes.some((node) => node.id === id)) continue;
    element.remove();
    cards.delete(id);
  }
  place(now);
  const list = view.querySelector("[data-mesh-ways]") as HTMLElement;
  const texts = now.ways.map((way) => `${nameOf(way.source)} to ${nameOf(way.target)}: ${wayInWords(way)}`);
  if (list.dataset["text"] !== texts.join("\n")) {
    list.dataset["text"] = texts.join("\n");
    list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  }
}

// Who cannot see the picture hears what matters in it: errors that begin and end.
function tellChanges(before: Picture | undefined, now: Picture): void {
  for (const way of now.ways) {
    const old = before?.ways?.find((one) => one.source === way.source && one.target === way.target);
    if (old && old.errors === 0 && way.errors > 0) announce(`${nameOf(way.target)} answers with errors.`);
  }
}

function nameOf(id: string): string {
  return picture?.nodes?.find((node) => node.id === id)?.name ?? id.split("/").at(-1) ?? id;
}

function card(id: string): HTMLButtonElement {
  let element = cards.get(id);
  if (!element) {
    element = document.createElement("button");
    element.type = "button";
    element.className = "node";
    element.dataset["node"] = id;
    element.addEventListener("pointerenter", () => lookAt(id));
    element.addEventListener("pointerleave", () => lookAt(""));
    element.addEventListener("focus", () => element?.matches(":focus-visible") && lookAt(id));
    element.addEventListener("blur", () => lookAt(""));
    element.addEventListener("click", () => {
      if (picture?.nodes?.find((node) => node.id === id)?.versions.length) void showDetails(id, element as HTMLElement, waysOf(id));
    });
    cards.set(id, element);
    view.querySelector(".mesh-cards")?.append(element);
  }
  return element;
}

const KINDS: Record<string, string> = {
  service: "service",
  gateway: "gateway",
  workload: "program",
  probe: "meshdojo’s probe",
  outside: "outside the mesh",
  external: "outside service",
};

function fill(element: HTMLButtonElement, node: MeshNode): void {
  const key = JSON.stringify(node);
  if (element.dataset["key"] === key) return;
  element.dataset["key"] = key;
  element.dataset["kind"] = node.kind;
  element.toggleAttribute("data-several", node.versions.length > 1);
  const bare = node.kind === "service" && node.versions.some((one) => one.pods > one.sidecars);
  const head = html("span", "node-head", [
    html("span", "node-name", node.name),
    ...(node.mtls === "STRICT" ? [html("span", "node-lock", "mTLS only")] : []),
  ]);
  // Of several versions the figures stand below each other; of one they are those of the way to it.
  const several = node.versions.length > 1;
  const rows = node.versions.map((one) =>
    html("span", `node-row${one.errors > 0 ? " node-bad" : ""}${one.ready < one.pods ? " node-unready" : ""}`, [
      html("span", "node-version", one.version || one.name),
      ...(one.weight === null ? [] : [html("span", "node-weight", percent(one.weight / 100))]),
      ...(one.ready < one.pods ? [html("span", "node-pods", `${one.ready}/${one.pods} ready`)] : []),
      ...(several ? [html("span", "node-rate", one.rate ? rate(one.rate) : "")] : []),
    ]),
  );
  const badges = [
    ...(bare ? [html("span", "node-badge node-badge-warn", "no sidecar")] : []),
    ...(node.kind === "service" && !node.versions.length ? [html("span", "node-badge node-badge-warn", "no pods")] : []),
    ...node.faults.map((fault) => html("span", "node-badge node-badge-fault", fault)),
    ...node.notes.map((note) => html("span", "node-badge", note)),
  ];
  element.replaceChildren(
    html("span", "node-kind", node.kind === "service" ? node.namespace : (KINDS[node.kind] ?? node.kind)),
    head,
    ...(node.kind === "service" || (node.kind === "workload" && node.versions[0]?.version) ? rows : []),
    ...badges,
  );
  element.setAttribute("aria-label", nodeInWords(node, bare));
}

function nodeInWords(node: MeshNode, bare: boolean): string {
  const versions = node.versions.map((one) =>
    [
      one.version || one.name,
      one.weight === null ? "" : `weight ${percent(one.weight / 100)}`,
      `${one.ready} of ${one.pods} pods ready`,
      one.rate ? `${rate(one.rate)}, ${one.errors ? `${percent(one.errors)} errors` : "no errors"}` : "no requests",
    ]
      .filter(Boolean)
      .join(", "),
  );
  const more = [node.mtls ? `mutual TLS ${node.mtls.toLowerCase()}` : "", bare ? "a pod without sidecar" : ""];
  return [`${KINDS[node.kind] ?? node.kind} ${node.name}`, ...more, ...versions, ...node.faults, ...node.notes]
    .filter(Boolean)
    .join("; ");
}

/** What goes in and out of a node: rows for a table. */
function waysOf(id: string): string[][] {
  const ways = (picture?.ways ?? []).filter((way) => touches(way, id));
  return ways.map((way) => [
    way.target === id ? `from ${nameOf(way.source)}` : `to ${nameOf(way.target)}`,
    ...(way.rate ? [rate(way.rate), percent(way.errors), time(way.p95)] : ["none now", "", ""]),
    way.mtls === null ? "" : way.mtls ? "mutual TLS" : "plain text",
  ]);
}

function wayInWords(way: Way): string {
  if (!way.rate) return "no requests now";
  const parts = [rate(way.rate), way.errors ? `${percent(way.errors)} errors` : "no errors", `95 % within ${time(way.p95)}`];
  if (way.mtls !== null) parts.push(way.mtls ? "encrypted with mutual TLS" : "plain text");
  return parts.join(", ");
}

/** Put the cards in their places, and draw the ways. */
function place(now: Picture): void {
  const nodes = now.nodes ?? [];
  const box = view.getBoundingClientRect();
  if (box.width < 40 || box.height < 40) return;
  view.querySelector<HTMLElement>(".mesh-canvas")?.toggleAttribute("hidden", !nodes.length);
  if (!nodes.length) return;
  const across = box.width > box.height * 1.15;
  const sizes = nodes.map((node) => [node.id, card(node.id).offsetWidth, card(node.id).offsetHeight] as const);
  const ways = now.ways.map((way) => [way.source, way.target] as const);
  const room = (across ? box.height - 44 : box.width - 24) / LEAST_SCALE;
  const wanted = JSON.stringify([sizes, ways, across, room]);
  const graph = layoutOf(wanted, () => placeNodes(sizes, ways.filter(([source, target]) => source !== target), across, across ? 70 : 52, room));
  const { width, height } = graph;
  const scale = Math.max(LEAST_SCALE, Math.min(1, (box.width - 24) / width, (box.height - 44) / height));
  const canvas = view.querySelector(".mesh-canvas") as HTMLElement;
  canvas.toggleAttribute("data-down", !across);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.style.transform = `scale(${scale})`;
  canvas.style.marginInline = `${Math.max(12, (box.width - width * scale) / 2)}px`;
  canvas.style.marginBlock = `${Math.max(8, (box.height - 32 - height * scale) / 2)}px`;
  for (const node of nodes) {
    const at = graph.node(node.id);
    const element = card(node.id);
    element.style.translate = `${at.x - at.width / 2}px ${at.y - at.height / 2}px`;
  }
  drawWays(now, graph, width, height, wanted !== shape);
  shape = wanted;
}

let cached: { key: string; graph: Placed } | undefined;

function layoutOf(key: string, made: () => Placed): Placed {
  if (cached?.key === key) return cached.graph;
  const graph = made();
  cached = { key, graph };
  return graph;
}

function drawWays(now: Picture, graph: Placed, width: number, height: number, anew: boolean): void {
  const svg = view.querySelector("svg") as SVGSVGElement;
  const across = !view.querySelector(".mesh-canvas")?.hasAttribute("data-down");
  const labels = view.querySelector(".mesh-labels") as HTMLElement;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", String(width));
  svg.setAttribute("height", String(height));
  if (anew) {
    svg.replaceChildren();
    labels.replaceChildren();
  }
  now.ways.forEach((way, index) => {
    let line = svg.children[index] as SVGPathElement | undefined;
    if (!line) {
      line = document.createElementNS(SVG, "path");
      if (way.source !== way.target) line.setAttribute("d", curve(graph.way(way.source, way.target), across));
      svg.append(line);
    }
    line.setAttribute("class", `way${way.rate ? " way-busy" : ""}${way.errors ? " way-bad" : ""}`);
    line.toggleAttribute("data-near", touches(way, near));
    line.style.strokeWidth = String(1.5 + Math.min(3, Math.log10(1 + way.rate) * 1.8));
    let label = labels.children[index] as HTMLElement | undefined;
    if (!label) {
      label = document.createElement("span");
      labels.append(label);
    }
    label.className = `way-label${way.errors ? " way-label-bad" : ""}`;
    const lock = way.mtls === null ? "" : way.mtls ? "🔒︎ " : "🔓︎ ";
    const above = `${lock}${way.rate ? rate(way.rate) : ""}`.trim();
    const below = way.rate ? (way.errors ? `${percent(way.errors)} err` : time(way.p95)) : "";
    if (label.dataset["text"] !== above + below) {
      label.dataset["text"] = above + below;
      label.replaceChildren(html("span", "", above), html("span", "", below));
    }
  });
  setLabels(now, graph, anew);
}

// What a label may take up: its words change all the time, its place should not.
const LABEL = { width: 62, height: 36 };
let near = "";
let labelled = "";

function touches(way: Way, id: string): boolean {
  return way.source === id || way.target === id;
}

/** Labels stay where they are until other ways have something to say. Looking at a node shows all of its own. */
function setLabels(now: Picture, graph: Placed, anew: boolean): void {
  const saying = now.ways.filter(
    (way) => way.source !== way.target && (way.rate > 0 || way.mtls !== null) && (!near || touches(way, near)),
  );
  const key = JSON.stringify([near, saying.map((way) => [way.source, way.target, way.errors > 0, way.rate > 0])]);
  const canvas = view.querySelector(".mesh-canvas") as HTMLElement;
  canvas.toggleAttribute("data-looking", !!near);
  if (key === labelled && !anew) return;
  labelled = key;
  const labels = saying.map((way) => ({
    ...LABEL,
    source: way.source,
    target: way.target,
    weight: (way.errors > 0 ? 1e6 : 0) + (way.rate > 0 ? 1e3 : 0) + way.rate,
  }));
  const nodes = (now.nodes ?? []).map((node) => graph.node(node.id));
  const places = placeLabels(labels, graph, nodes, !canvas.hasAttribute("data-down"));
  const elements = view.querySelector(".mesh-labels")?.children;
  now.ways.forEach((way, index) => {
    const at = places[saying.indexOf(way)];
    const element = elements?.[index] as HTMLElement;
    element.hidden = !at;
    if (at) element.style.translate = `calc(${at.x}px - 50%) calc(${at.y}px - 50%)`;
  });
}

/** Show what belongs to a node, and dim the rest ('' for nothing). */
function lookAt(id: string): void {
  if (near === id) return;
  near = id;
  if (picture) place(picture);
}

function html(tag: string, name: string, content: string | HTMLElement[]): HTMLElement {
  const element = document.createElement(tag);
  element.className = name;
  if (typeof content === "string") element.textContent = content;
  else element.append(...content);
  return element;
}

// A panel over the mesh pane: one node closely, or the tracer.
import { make } from "./meshtypes";
import { ask, words } from "./server";
import { wish } from "./workpane";

interface Details {
  id: string;
  name: string;
  namespace: string;
  kind: string;
  pods: { name: string; address: string; version: string; ready: boolean; state: string; sidecar: boolean; restarts: number }[];
  config: { apiVersion: string; kind: string; metadata: { name: string; namespace: string }; spec: unknown }[];
  log: { pod: string; line: string }[];
  counters: { pod: string; cluster: string; endpoint: string; requests: number; errors: number; active: number; ejected: boolean }[];
}

let opener: HTMLElement | undefined;

/** An empty panel with a heading; the focus returns to `from` when it is closed. */
export function openPanel(title: string, from: HTMLElement): HTMLElement {
  closePanel(false);
  opener = from;
  const close = make("button", { type: "button", class: "icon-button panel-close" }, "×", make("span", { class: "visually-hidden" }, "Close"));
  const body = make("div", { class: "panel-body", tabindex: "0", role: "group", "aria-label": title });
  const panel = make("section", { class: "panel", "aria-label": title }, make("header", { class: "panel-head" }, make("h3", {}, title), close), body);
  close.addEventListener("click", () => closePanel());
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    closePanel();
  });
  document.querySelector("[data-mesh-view]")?.append(panel);
  close.focus();
  return body;
}

function closePanel(returnFocus = true): void {
  const panel = document.querySelector("[data-mesh-view] .panel");
  if (!panel) return;
  panel.remove();
  if (returnFocus) opener?.focus();
}

/** `ways`: what goes in and out, as rows of words. */
export async function showDetails(id: string, from: HTMLElement, ways: string[][]): Promise<void> {
  const title = id.split("/").at(-1) ?? id;
  const body = openPanel(title, from);
  body.append(make("p", { class: "trace-note" }, "Looking…"));
  try {
    body.replaceChildren(...requests(ways), ...sections(await ask<Details>(`/mesh/node?id=${encodeURIComponent(id)}`)));
  } catch (error) {
    body.replaceChildren(make("p", { class: "trace-error" }, words(error)));
  }
}

function requests(ways: string[][]): HTMLElement[] {
  return [
    make("h4", {}, "Requests, last 5 s"),
    table(["with", "a second", "errors", "95 % within", "transport"], ways, "None that any proxy logged."),
  ];
}

function sections(found: Details): HTMLElement[] {
  return [
    make("h4", {}, "Pods"),
    table(
      ["name", "version", "state", "sidecar", "restarts"],
      found.pods.map((pod) => [pod.name, pod.version, pod.ready ? "ready" : pod.state, pod.sidecar ? "yes" : "no", String(pod.restarts)]),
      "There are none.",
    ),
    make("h4", {}, "Configuration in effect"),
    ...(found.config.length ? found.config.map(configuration) : [make("p", { class: "trace-note" }, "No resource of Istio’s says anything about it.")]),
    make("h4", {}, "Envoy’s counters: who its proxies called"),
    table(
      ["service", "endpoint", "requests", "errors", "now"],
      found.counters.map((row) => [
        row.cluster.split("|").slice(2).filter(Boolean).join(" of "),
        row.endpoint,
        String(row.requests),
        String(row.errors),
        row.ejected ? "ejected" : row.active ? `${row.active} under way` : "",
      ]),
      "They have called nobody.",
    ),
    make("h4", {}, "Access log, the newest last"),
    make("pre", { class: "log", tabindex: "0", "aria-label": "Access log" }, found.log.slice(-30).map((line) => line.line).join("\n") || "Nothing has been logged."),
  ];
}

function configuration(object: Details["config"][number]): HTMLElement {
  const edit = make("button", { type: "button", class: "button-quiet" }, "Open in the editor");
  edit.addEventListener("click", () => wish("objectwanted", { kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name }));
  return make(
    "details",
    { class: "trace-fold" },
    make("summary", {}, `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`),
    make("pre", { tabindex: "0" }, JSON.stringify(object.spec, null, 2)),
    edit,
  );
}

function table(heads: string[], rows: string[][], none: string): HTMLElement {
  if (!rows.length) return make("p", { class: "trace-note" }, none);
  const body = make("tbody", {});
  for (const row of rows) body.append(make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  const head = make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name)));
  return make("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": heads.join(", ") }, make("table", {}, make("thead", {}, head), body));
}

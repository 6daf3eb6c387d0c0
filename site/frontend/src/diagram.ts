// Inside the frame of a diagram: draws what the page posts.
import mermaid from "mermaid";
import { hex } from "./colours";
import type { DrawReply, DrawRequest } from "./diagrams";

const LEAST_SCALE = 0.6;
const LEAST_WIDTH = 640;
const holder = document.getElementById("diagram") as HTMLElement;

window.addEventListener("message", (event: MessageEvent<DrawRequest>) => {
  if (event.source !== window.parent || event.origin !== window.location.origin) return;
  if (!event.data.colours) return; // a message of somebody else, such as a tool that looks into every frame
  void draw(event.data).then((reply) => window.parent.postMessage(reply, window.location.origin));
});
window.addEventListener("resize", () => window.parent.postMessage(size(), window.location.origin));
window.parent.postMessage("ready", window.location.origin);

async function draw(request: DrawRequest): Promise<DrawReply> {
  document.documentElement.style.colorScheme = request.colours["scheme"] ?? "light";
  try {
    await document.fonts.load("16px Geist Variable");
    mermaid.initialize({
      startOnLoad: false,
      securityLevel: "strict",
      theme: "base",
      themeVariables: theme(request.colours),
      flowchart: { htmlLabels: false, curve: "basis", padding: 14, nodeSpacing: 40, rankSpacing: 48 },
      fontFamily: "Geist Variable, ui-sans-serif, system-ui, sans-serif",
    });
    const { svg } = await mermaid.render("picture", request.source);
    holder.innerHTML = svg;
    const picture = holder.querySelector("svg");
    if (picture) picture.style.minWidth = `${Math.min(picture.viewBox.baseVal.width * LEAST_SCALE, LEAST_WIDTH)}px`;
    picture?.setAttribute("role", "img");
    picture?.setAttribute("aria-label", request.title);
    return size();
  } catch (error) {
    return { height: 0, error: String(error) };
  }
}

function size(): DrawReply {
  return { height: Math.ceil(holder.getBoundingClientRect().height), error: "" };
}

function theme(colours: Record<string, string>): Record<string, string> {
  const { ink, paper, canvas, line, accent } = colours as Record<string, string>;
  const text = hex(ink);
  return {
    background: hex(paper),
    primaryColor: hex(colours["accent-soft"]),
    primaryTextColor: text,
    primaryBorderColor: hex(accent),
    secondaryColor: hex(canvas),
    secondaryTextColor: text,
    secondaryBorderColor: hex(colours["line-strong"]),
    tertiaryColor: hex(canvas),
    tertiaryTextColor: text,
    tertiaryBorderColor: hex(line),
    lineColor: hex(colours["ink-3"]),
    textColor: text,
    clusterBkg: hex(canvas),
    clusterBorder: hex(line),
    edgeLabelBackground: hex(paper),
    noteBkgColor: hex(canvas),
    noteTextColor: text,
    noteBorderColor: hex(line),
    actorBkg: hex(colours["accent-soft"]),
    actorBorder: hex(accent),
    actorTextColor: text,
    signalColor: hex(colours["ink-2"]),
    signalTextColor: text,
    labelBoxBkgColor: hex(canvas),
    activationBkgColor: hex(canvas),
    fontSize: "15px",
  };
}

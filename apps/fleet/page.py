"""The front page, in the two looks of the fleet: a list (original) and a map (any other version)."""

from __future__ import annotations

from html import escape

from fleet.identity import Identity

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Fleet, {version}</title>
<style>
body {{ margin: 0; font: 16px/1.5 system-ui, sans-serif; background: {background}; color: {ink}; }}
header {{ padding: 1rem 2rem; background: {accent}; color: #fff; }}
header h1 {{ margin: 0; font-size: 1.5rem; }}
main {{ padding: 1rem 2rem; }}
footer {{ padding: 1rem 2rem; font-size: .85rem; opacity: .8; }}
{style}
</style>
</head>
<body class="{look}">
<header><h1>{headline}</h1></header>
<main id="vehicles" aria-live="polite">Asking where everyone is …</main>
<footer id="hops">served by {service} {version}, pod {pod}</footer>
<script>
const main = document.getElementById("vehicles"), own = document.getElementById("hops").textContent;
const arrow = hops => hops ? " → " + hops.map(hop).join(", ") : "";
const hop = h => `${{h.service}} ${{h.version || ""}} (${{h.status}})` + arrow(h.upstreams);
async function refresh() {{
  const answer = await fetch("/api/vehicles").then(r => r.json()).catch(e => ({{error: String(e)}}));
  // Another version answers now: load the page again, which may or may not come from that version.
  if (answer.version && answer.version !== "{version}") return location.reload();
  main.replaceChildren(...(answer.vehicles || []).map(v => {{
    const box = document.createElement("div");
    box.className = "vehicle";
    const driver = v.driver ?? "driver unknown";
    box.textContent = `${{v.name}} · ${{driver}} · ${{v.position.latitude}}, ${{v.position.longitude}}`;
    box.style.setProperty("--x", (v.position.longitude + 3.1) / 1.8);
    box.style.setProperty("--y", (53.55 - v.position.latitude) / .3);
    return box;
  }}));
  if (answer.error) main.textContent = "The fleet cannot be reached: " + answer.error;
  document.getElementById("hops").textContent = own + arrow(answer.upstreams);
}}
refresh();
setInterval(refresh, 2000);
</script>
</body>
</html>
"""

_LIST = {
    "look": "list",
    "headline": "Fleet",
    "background": "#f5f7fa",
    "ink": "#1b2733",
    "accent": "#1f5f99",
    "style": ".vehicle { padding: .5rem 0; border-bottom: 1px solid #c8d3df; }",
}
_MAP = {
    "look": "map",
    "headline": "Fleet, live on the map",
    "background": "#1d1330",
    "ink": "#fdf3e3",
    "accent": "#b3450b",
    "style": "main { position: relative; height: 60vh; margin: 1rem 2rem; border: 1px dashed #b3450b; }"
    " .vehicle { position: absolute; left: calc(var(--x) * 90%); top: calc(var(--y) * 90%); max-width: 12rem;"
    " padding: .25rem .5rem; border-radius: .5rem; background: #b3450b; color: #fff; font-size: .8rem; }",
}


def render(identity: Identity) -> str:
    """The HTML of the page for this version."""
    look = _LIST if identity.version == "original" else _MAP
    names = {"service": identity.service, "version": identity.version, "pod": identity.pod}
    return _PAGE.format(**look, **{key: escape(value) for key, value in names.items()})

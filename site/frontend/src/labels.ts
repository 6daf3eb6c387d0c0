// Puts labels on the ways of the graph so that none covers a node or another label. Where there is no room for all, the
// more important come first, and the others are shown when somebody looks at one of their ends.
import type { Box, Placed, Point } from "./layered";

export interface Label {
  source: string;
  target: string;
  width: number;
  height: number;
  /** The higher come first. */
  weight: number;
}

// Places along a way, the best first: its middle, and then ever farther from it, towards its end first, where ways that
// leave one node together are apart.
const ALONG = [0.5, ...[0.06, 0.12, 0.18, 0.24, 0.3, 0.36].flatMap((off) => [0.5 + off, 0.5 - off])];
const STEPS = 24;
const GAP = 2;

/** The middle of each label, in the order of `labels`; undefined for one that has no place. `across`: see layered.ts. */
export function placeLabels(labels: Label[], graph: Placed, nodes: Box[], across: boolean): (Point | undefined)[] {
  const taken = [...nodes];
  const found = new Map<Label, Point>();
  for (const label of [...labels].sort((left, right) => right.weight - left.weight)) {
    const line = traced(graph.way(label.source, label.target), across);
    const place = candidates(line, label, across).find((at) => !taken.some((box) => covers(box, { ...at, ...size(label) })));
    if (!place) continue;
    found.set(label, place);
    taken.push({ ...place, ...size(label) });
  }
  return labels.map((label) => found.get(label));
}

function size(label: Label): { width: number; height: number } {
  return { width: label.width, height: label.height };
}

/** Ways that lead across carry their label on them, or else above or below; those that lead down have it beside them. */
function candidates(line: Point[], label: Label, across: boolean): Point[] {
  const on = ALONG.map((part) => line[Math.round(part * (line.length - 1))] as Point);
  const off = across ? label.height / 2 + 4 : label.width / 2 + 7;
  const beside = on.flatMap(({ x, y }) => [-off, off].map((by) => (across ? { x, y: y + by } : { x: x - by, y })));
  return across ? [...on, ...beside] : beside;
}

function covers(one: Box, other: Box): boolean {
  return (
    Math.abs(one.x - other.x) < (one.width + other.width) / 2 + GAP && Math.abs(one.y - other.y) < (one.height + other.height) / 2 + GAP
  );
}

/** Points of the soft line through `points` (see `curve`), evenly spread. */
function traced(points: Point[], across: boolean): Point[] {
  const found: Point[] = [];
  for (let at = 1; at < points.length; at++) {
    const [from, to] = [points[at - 1] as Point, points[at] as Point];
    const [first, second] = handles(from, to, across);
    for (let step = at === 1 ? 0 : 1; step <= STEPS; step++) found.push(bezier(from, first, second, to, step / STEPS));
  }
  return found;
}

function bezier(from: Point, first: Point, second: Point, to: Point, part: number): Point {
  const rest = 1 - part;
  const [a, b, c, d] = [rest ** 3, 3 * rest ** 2 * part, 3 * rest * part ** 2, part ** 3];
  return { x: a * from.x + b * first.x + c * second.x + d * to.x, y: a * from.y + b * first.y + c * second.y + d * to.y };
}

function handles(from: Point, to: Point, across: boolean): [Point, Point] {
  const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
  return across ? [{ x, y: from.y }, { x, y: to.y }] : [{ x: from.x, y }, { x: to.x, y }];
}

/** A soft line through the points, that leaves and arrives straight: the path of an SVG. */
export function curve(points: Point[], across: boolean): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let path = `M${first.x},${first.y}`;
  let from = first;
  for (const to of rest) {
    const [one, two] = handles(from, to, across);
    path += `C${one.x},${one.y} ${two.x},${two.y} ${to.x},${to.y}`;
    from = to;
  }
  return path;
}

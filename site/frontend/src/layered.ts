// Places the nodes of a small directed graph in layers, each way leading on to a later layer where it can; long ways get
// room of their own between the nodes that they pass. (A graph library would be most of the page's weight.)
export interface Point {
  x: number;
  y: number;
}
export interface Box extends Point {
  width: number;
  height: number;
}
export interface Placed {
  width: number;
  height: number;
  node: (id: string) => Box;
  way: (source: string, target: string) => Point[];
}
type Sizes = (readonly [string, number, number])[];
type Ways = (readonly [string, string])[];

const SWEEPS = 6;
const BESIDE = 18; // between nodes of a layer
const LANE = 16; // for a way that passes a layer

/**
 * `across`: layers from left to right, else from top to bottom; `between`: the room between two layers; `room`: how long
 * a layer of nodes without ways may be (they come last, in as many layers as that takes).
 */
export function place(sizes: Sizes, ways: Ways, across: boolean, between: number, room: number): Placed {
  const ends = new Set(ways.flat());
  const tied = sizes.filter(([id]) => ends.has(id));
  const ranks = rank(tied.map(([id]) => id), ways);
  const size = new Map(sizes.map(([id, width, height]) => [id, { width, height }]));
  const layers: string[][] = [];
  const put = (id: string, layer: number): void => void (layers[layer] ??= []).push(id);
  for (const [id] of tied) put(id, ranks.get(id) ?? 0);
  const chains = new Map<string, string[]>();
  for (const [source, target] of ways) {
    const [from, to] = [ranks.get(source) ?? 0, ranks.get(target) ?? 0];
    const chain = [source];
    for (let layer = from + 1; layer < to; layer++) {
      const lane = `${source}\n${target}\n${layer}`;
      size.set(lane, across ? { width: 0, height: LANE } : { width: LANE, height: 0 });
      put(lane, layer);
      chain.push(lane);
    }
    chains.set(`${source}\n${target}`, [...chain, target]);
  }
  for (let layer = 0; layer < layers.length; layer++) layers[layer] ??= [];
  order(layers, [...chains.values()]);
  const loose = rows(sizes.filter(([id]) => !ends.has(id)), across, room);
  const boxes = coordinates([...layers, ...loose], size, across, (layer) => (layer < layers.length ? between : BESIDE));
  const all = [...boxes.values()];
  return {
    width: Math.max(0, ...all.map((box) => box.x + box.width / 2)),
    height: Math.max(0, ...all.map((box) => box.y + box.height / 2)),
    node: (id) => boxes.get(id) ?? { x: 0, y: 0, width: 0, height: 0 },
    way: (source, target) => line(chains.get(`${source}\n${target}`) ?? [], boxes, across),
  };
}

/** The layer of each node: one after the last that leads to it; ways that close a circle do not count. */
function rank(ids: string[], ways: Ways): Map<string, number> {
  const ranks = new Map<string, number>();
  const open = new Set<string>();
  const visit = (id: string): number => {
    const known = ranks.get(id);
    if (known !== undefined) return known;
    open.add(id);
    let layer = 0;
    for (const [source, target] of ways) if (target === id && !open.has(source)) layer = Math.max(layer, visit(source) + 1);
    open.delete(id);
    ranks.set(id, layer);
    return layer;
  };
  ids.forEach(visit);
  return ranks;
}

/** Order each layer by where its neighbours are: few ways cross then. */
function order(layers: string[][], chains: string[][]): void {
  const before = new Map<string, string[]>();
  const after = new Map<string, string[]>();
  const add = (map: Map<string, string[]>, key: string, value: string): void => void (map.get(key) ?? map.set(key, []).get(key))?.push(value);
  for (const chain of chains) {
    for (let at = 1; at < chain.length; at++) {
      add(before, chain[at] as string, chain[at - 1] as string);
      add(after, chain[at - 1] as string, chain[at] as string);
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    const seen = forward ? layers : [...layers].reverse();
    for (let at = 1; at < seen.length; at++) {
      const fixed = seen[at - 1] as string[];
      const neighbours = forward ? before : after;
      const middle = new Map((seen[at] as string[]).map((id, place) => [id, mean(neighbours.get(id) ?? [], fixed, place)]));
      (seen[at] as string[]).sort((left, right) => (middle.get(left) ?? 0) - (middle.get(right) ?? 0));
    }
  }
}

function mean(ids: string[], layer: string[], otherwise: number): number {
  const places = ids.map((id) => layer.indexOf(id)).filter((place) => place >= 0);
  return places.length ? places.reduce((sum, place) => sum + place, 0) / places.length : otherwise;
}

/** Nodes side by side, as many in a layer as there is room for. */
function rows(sizes: Sizes, across: boolean, room: number): string[][] {
  const found: string[][] = [];
  let left = 0;
  for (const [id, width, height] of sizes) {
    const long = across ? height : width;
    if (!found.length || left < long) {
      found.push([]);
      left = room;
    }
    found.at(-1)?.push(id);
    left -= long + BESIDE;
  }
  return found;
}

/** `after(layer)`: the room behind a layer. */
function coordinates(
  layers: string[][],
  size: Map<string, { width: number; height: number }>,
  across: boolean,
  after: (layer: number) => number,
): Map<string, Box> {
  const thick = (id: string): number => (across ? size.get(id)?.width : size.get(id)?.height) ?? 0;
  const long = (id: string): number => (across ? size.get(id)?.height : size.get(id)?.width) ?? 0;
  const lengths = layers.map((layer) => layer.reduce((sum, id) => sum + long(id) + BESIDE, -BESIDE));
  const longest = Math.max(0, ...lengths);
  const boxes = new Map<string, Box>();
  let main = 0;
  layers.forEach((layer, number) => {
    const thickness = Math.max(0, ...layer.map(thick));
    let other = (longest - (lengths[number] ?? 0)) / 2;
    for (const id of layer) {
      const [along, beside] = [main + thickness / 2, other + long(id) / 2];
      const { width, height } = size.get(id) ?? { width: 0, height: 0 };
      boxes.set(id, across ? { x: along, y: beside, width, height } : { x: beside, y: along, width, height });
      other += long(id) + BESIDE;
    }
    main += thickness + after(number);
  });
  return boxes;
}

/** From border to border. */
function line(chain: string[], boxes: Map<string, Box>, across: boolean): Point[] {
  return chain.map((id, at) => {
    const box = boxes.get(id) ?? { x: 0, y: 0, width: 0, height: 0 };
    const side = at === 0 ? 1 : at === chain.length - 1 ? -1 : 0;
    return across ? { x: box.x + (side * box.width) / 2, y: box.y } : { x: box.x, y: box.y + (side * box.height) / 2 };
  });
}

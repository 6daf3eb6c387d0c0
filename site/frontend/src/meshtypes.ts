// What the server says of the mesh (observation/picture.py).
export interface Version {
  name: string;
  version: string;
  pods: number;
  ready: number;
  sidecars: number;
  weight: number | null;
  rate: number;
  errors: number;
}
export interface MeshNode {
  id: string;
  kind: string;
  namespace: string;
  name: string;
  mtls: string;
  faults: string[];
  notes: string[];
  versions: Version[];
}
export interface Way {
  source: string;
  target: string;
  rate: number;
  errors: number;
  median: number;
  p95: number;
  total: number;
  mtls: boolean | null;
}
export interface Picture {
  problem?: string;
  source?: string;
  nodes?: MeshNode[];
  ways: Way[];
  traffic?: { on: boolean; problem: string; rate?: number };
}

export function rate(value: number): string {
  return `${value >= 10 ? Math.round(value) : Math.round(value * 10) / 10}/s`;
}

export function time(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function percent(share: number): string {
  const value = share * 100;
  return `${value > 0 && value < 1 ? "<1" : Math.round(value)} %`;
}

/** An element with text or children, and attributes. */
export function make(tag: string, attributes: Record<string, string>, ...content: (string | Node)[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

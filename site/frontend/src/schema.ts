// The schemas of kinds, from the cluster's OpenAPI, and what one says about a path.
import type { Path } from "./yamlpath";
import { ask, words } from "./server";

export interface Schema {
  type?: string;
  format?: string;
  description?: string;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
  required?: string[];
  default?: unknown;
  allOf?: Schema[];
  oneOf?: Schema[];
  $ref?: string;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
}
export interface Kind {
  root: string;
  schemas: Record<string, Schema>;
}

const REFERENCE = "#/components/schemas/";
const known = new Map<string, Promise<Kind | string>>();

/** The schema of a kind; a text when there is none, which says why. Asked for once, and again when it was not there. */
export function kindOf(apiVersion: string, kind: string): Promise<Kind | string> {
  const key = `${apiVersion} ${kind}`;
  let found = known.get(key);
  if (!found) {
    const query = new URLSearchParams({ api_version: apiVersion, kind });
    found = ask<Kind | { problem: string }>(`/editor/schema?${query}`)
      .then((answer) => ("problem" in answer ? answer.problem : answer))
      .catch(words)
      .then((answer) => {
        if (typeof answer === "string") setTimeout(() => known.delete(key), 5000);
        return answer;
      });
    known.set(key, found);
  }
  return found;
}

/** A schema with what it refers to put in. */
export function resolved(kind: Kind, schema: Schema | undefined): Schema | undefined {
  let found = schema;
  for (let depth = 0; found && depth < 8; depth++) {
    const reference: string | undefined = found.$ref ?? (found.allOf?.length === 1 ? found.allOf[0]?.$ref : undefined);
    if (!reference) return found;
    const target: Schema | undefined = kind.schemas[reference.replace(REFERENCE, "")];
    found = target && { ...target, description: found.description ?? target.description ?? "" };
  }
  return found;
}

export function schemaAt(kind: Kind, path: Path): Schema | undefined {
  let found = resolved(kind, kind.schemas[kind.root]);
  for (const part of path) {
    if (!found) return undefined;
    if (part === "[]") found = resolved(kind, found.items);
    else if (found.properties && part in found.properties) found = resolved(kind, found.properties[part]);
    else found = typeof found.additionalProperties === "object" ? resolved(kind, found.additionalProperties) : undefined;
  }
  return found;
}

export function typeOf(schema: Schema | undefined): string {
  if (!schema) return "";
  if (schema["x-kubernetes-int-or-string"] || schema.format === "int-or-string") return "number or text";
  if (schema.enum) return "choice";
  if (schema.type === "array") return `list of ${schema.items?.type ?? "objects"}s`.replace("objectss", "objects");
  if (schema.type === "object" && !schema.properties && schema.additionalProperties) return "map";
  return { string: "text", boolean: "true or false", integer: "number", number: "number" }[schema.type ?? ""] ?? schema.type ?? "object";
}

export interface Finding {
  path: Path;
  index: number[]; // of the list items on the path, in order
  onKey: boolean;
  message: string;
}

/** What in a value does not fit a schema. */
export function misfits(kind: Kind, value: unknown): Finding[] {
  const found: Finding[] = [];
  walk(kind, resolved(kind, kind.schemas[kind.root]), value, [], [], found);
  return found;
}

function walk(kind: Kind, schema: Schema | undefined, value: unknown, path: Path, index: number[], found: Finding[]): void {
  if (!schema || value === null || value === undefined) return;
  const say = (message: string, onKey = false, at = path): void => void found.push({ path: at, index, onKey, message });
  const flexible = schema["x-kubernetes-int-or-string"] || schema.format === "int-or-string" || schema.oneOf;
  if (schema.type === "object" || schema.properties) {
    if (typeof value !== "object" || Array.isArray(value)) return say("Here belong keys and values, not a single value or a list.");
    const open = schema["x-kubernetes-preserve-unknown-fields"] || !schema.properties;
    for (const [key, part] of Object.entries(value)) {
      const property = schema.properties?.[key];
      if (property) walk(kind, resolved(kind, property), part, [...path, key], index, found);
      else if (typeof schema.additionalProperties === "object") {
        walk(kind, resolved(kind, schema.additionalProperties), part, [...path, key], index, found);
      } else if (!open) {
        const near = nearest(key, Object.keys(schema.properties ?? {}));
        say(`There is no field “${key}” here.${near ? ` Did you mean “${near}”?` : ""}`, true, [...path, key]);
      }
    }
    for (const key of schema.required ?? []) if (!(key in value)) say(`The field “${key}” is missing.`, true);
  } else if (schema.type === "array") {
    if (!Array.isArray(value)) return say("Here belongs a list: each item begins with “- ”.");
    value.forEach((item, place) => walk(kind, resolved(kind, schema.items), item, [...path, "[]"], [...index, place], found));
  } else if (schema.enum && !schema.enum.includes(value)) {
    say(`Allowed are ${schema.enum.filter((one) => one !== "").map(String).join(", ")}.`);
  } else if (!flexible) {
    const fits = { string: "string", boolean: "boolean", integer: "number", number: "number" }[schema.type ?? ""];
    if (fits && typeof value !== fits) say(`Here belongs a ${typeOf(schema)}, not ${JSON.stringify(value)}.${hint(schema, value)}`);
    else if (schema.type === "integer" && !Number.isInteger(value)) say("Here belongs a whole number.");
  }
}

function hint(schema: Schema, value: unknown): string {
  return schema.type === "string" && typeof value !== "object" ? " Put it in quotes." : "";
}

function nearest(word: string, words: string[]): string {
  let best = "";
  let least = 3;
  for (const one of words) {
    const distance = edits(word.toLowerCase(), one.toLowerCase());
    if (distance < least) [best, least] = [one, distance];
  }
  return best;
}

function edits(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const change = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next[j] = Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
    }
    row = next;
  }
  return row[right.length] ?? 0;
}

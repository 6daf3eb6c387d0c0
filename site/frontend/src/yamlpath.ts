// Where in a YAML text something is, without a whole parse: a text that is being typed is rarely valid.
export type Path = string[]; // keys; "[]" for an item of a list

export interface Place {
  path: Path; // of the mapping or list that the cursor is in
  key: string; // the key on the cursor's line, "" when none is complete
  kind: "key" | "value";
  indent: number; // column of the key
  siblings: string[]; // keys that the same mapping has already
}

interface Line {
  indent: number; // column of the key, after any dashes
  dashes: number[]; // columns of the dashes before it
  key: string;
  value: string;
}

const LINE = /^(\s*)((?:-\s+|-$)*)(?:(?:"([^"]*)"|'([^']*)'|([^\s#:"'{[][^:#]*?))\s*:(?=\s|$)\s*(.*))?/;

export function readLine(text: string): Line {
  const match = LINE.exec(text) ?? [];
  const lead = (match[1] ?? "").length;
  const dashes: number[] = [];
  let column = lead;
  for (const letter of match[2] ?? "") {
    if (letter === "-") dashes.push(column);
    column++;
  }
  return { indent: column, dashes, key: (match[3] ?? match[4] ?? match[5] ?? "").trim(), value: match[6] ?? "" };
}

/** The lines of the document around `line` (numbers from 0), and the first one's number. */
export function documentAround(lines: string[], line: number): { lines: string[]; first: number } {
  let first = line;
  while (first > 0 && !/^---(\s|$)/.test(lines[first - 1] ?? "")) first--;
  if (/^---(\s|$)/.test(lines[line] ?? "")) first = line + 1;
  let end = Math.max(line, first);
  while (end < lines.length && !/^---(\s|$)/.test(lines[end] ?? "")) end++;
  return { lines: lines.slice(first, end), first };
}

export function placeAt(lines: string[], row: number, column: number): Place {
  const text = lines[row] ?? "";
  const line = readLine(text);
  const before = text.slice(0, column);
  const inValue = line.key !== "" && /:\s/.test(before.slice(Math.min(line.indent, before.length)));
  const indent = text.trim() === "" ? column : line.indent;
  const { path, siblings } = parents(lines, row, indent, line.dashes);
  if (inValue) return { path, key: line.key, kind: "value", indent, siblings };
  return { path, key: line.key, kind: "key", indent, siblings: siblings.filter((key) => key !== line.key) };
}

function parents(lines: string[], row: number, indent: number, own: number[]): { path: Path; siblings: string[] } {
  const path: Path = [];
  const siblings: string[] = [];
  let limit = indent; // columns from here on belong to what we are in
  const dashes = [...own];
  const leave = (columns: number[]): void => {
    for (const column of [...columns].reverse()) {
      if (column < limit) {
        path.unshift("[]");
        limit = column;
      }
    }
  };
  leave(dashes);
  let listColumn = own.length ? (own[0] as number) : -1;
  collect(lines, row, indent, siblings);
  for (let at = row - 1; at >= 0; at--) {
    const text = lines[at] ?? "";
    if (!text.trim() || /^\s*#/.test(text)) continue;
    const line = readLine(text);
    const start = line.dashes[0] ?? line.indent;
    if (start > limit) continue;
    if (line.dashes.length && line.indent === limit && listColumn < 0) {
      // The first key of the item that we are in.
      if (line.key && limit === indent) siblings.push(line.key);
      leave(line.dashes);
      listColumn = limit;
      continue;
    }
    if (line.key && line.indent < limit) {
      path.unshift(line.key);
      limit = line.indent;
      listColumn = -1;
      leave(line.dashes);
      if (line.dashes.length) listColumn = limit;
      continue;
    }
    // "key:" at the same column as the dashes of its list is allowed in YAML.
    if (line.key && !line.dashes.length && line.indent === limit && listColumn === limit) {
      path.unshift(line.key);
      listColumn = -1;
    }
  }
  return { path, siblings };
}

/** The keys of the same mapping, after this row and before it. */
function collect(lines: string[], row: number, indent: number, into: string[]): void {
  for (let at = row + 1; at < lines.length; at++) {
    const text = lines[at] ?? "";
    if (!text.trim() || /^\s*#/.test(text)) continue;
    const line = readLine(text);
    const start = line.dashes[0] ?? line.indent;
    if (start < indent) break;
    if (!line.dashes.length && line.indent === indent && line.key) into.push(line.key);
  }
  for (let at = row - 1; at >= 0; at--) {
    const text = lines[at] ?? "";
    if (!text.trim() || /^\s*#/.test(text)) continue;
    const line = readLine(text);
    const start = line.dashes[0] ?? line.indent;
    if (start < indent) break;
    if (!line.dashes.length && line.indent === indent && line.key) into.push(line.key);
  }
}

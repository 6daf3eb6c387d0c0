// Builds frontend/ into meshdojo/web/static/dist: files named by their content, and a manifest of the names.
// Run it through `python site/build.py`, which brings node.
import { build } from "esbuild";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, "meshdojo/web/static/dist");
const draft = `${dist}.${process.pid}`;

// Runs before the page is painted, so it is a classic script and shares no chunk with the others.
const classic = { early: "frontend/src/early.ts" };

const entries = {
  main: "frontend/src/main.ts",
  diagram: "frontend/src/diagram.ts",
  room: "frontend/src/room.ts",
  site: "frontend/styles/site.css",
  "diagram-style": "frontend/styles/diagram.css",
  xterm: "frontend/styles/xterm.css",
  "room-style": "frontend/styles/room.css",
  logo: "frontend/logo.svg",
  geist: "@fontsource-variable/geist/files/geist-latin-wght-normal.woff2",
};

// What templates ask for -> the entry that makes it.
const names = {
  "early.js": "early.js",
  "main.js": "main.js",
  "diagram.js": "diagram.js",
  "room.js": "room.js",
  "site.css": "site.css",
  "diagram.css": "diagram-style.css",
  "xterm.css": "xterm.css",
  "room.css": "room-style.css",
  "logo.svg": "logo.svg",
  "geist.woff2": "geist.woff2",
};

// xterm.js writes <style> elements and style attributes, which our Content-Security-Policy forbids. The same text can go
// into constructed style sheets, and through the style property; see frontend/src/sheets.ts.
const strictStyles = {
  name: "strict-styles",
  setup(building) {
    building.onLoad({ filter: /@xterm[/\\]xterm[/\\]lib[/\\]xterm\.mjs$/ }, async ({ path: file }) => {
      let text = await readFile(file, "utf8");
      text = replaced(text, /[\w$]+(?:\.[\w$]+)*\.createElement\("style"\)/g, 3, () => "sheetElement()");
      text = replaced(
        text,
        /([\w$]+)\.setAttribute\("style",`\$\{\1\.getAttribute\("style"\)\|\|""\}\$\{([\w$]+)\};`\)/g,
        1,
        (_all, element, style) => `${element}.style.cssText+=${style}+";"`,
      );
      const sheets = JSON.stringify(path.join(here, "frontend/src/sheets.ts"));
      return { contents: `import { sheetElement } from ${sheets};\n${text}`, loader: "js", resolveDir: path.dirname(file) };
    });
  },
};

function replaced(text, pattern, times, by) {
  const found = text.match(pattern)?.length ?? 0;
  if (found !== times) throw new Error(`xterm.js has ${found} places like ${pattern}, not ${times}: look at it anew`);
  return text.replace(pattern, by);
}

async function bundle() {
  const common = {
    absWorkingDir: here,
    outdir: draft,
    bundle: true,
    target: ["chrome123", "firefox120", "safari17.5"],
    minify: true,
    legalComments: "none",
    metafile: true,
    entryNames: "[name]-[hash]",
    logLevel: "warning",
  };
  const first = await build({ ...common, entryPoints: classic, format: "iife" });
  const result = await build({
    ...common,
    entryPoints: entries,
    splitting: true,
    format: "esm",
    chunkNames: "chunk-[hash]",
    assetNames: "[name]-[hash]",
    loader: { ".woff2": "file", ".svg": "file" },
    plugins: [strictStyles],
  });
  return {
    inputs: { ...first.metafile.inputs, ...result.metafile.inputs },
    outputs: { ...first.metafile.outputs, ...result.metafile.outputs },
  };
}

// A font or picture as an entry comes out as a script that names the file beside it: find that file by its input.
function manifest(metafile) {
  const found = {};
  for (const [file, output] of Object.entries(metafile.outputs)) {
    const name = path.basename(file);
    const made = Object.entries(names).find(([, entry]) => isMadeFrom(name, entry, output));
    if (made) found[made[0]] = name;
  }
  const missing = Object.keys(names).filter((name) => !(name in found));
  if (missing.length) throw new Error(`not built: ${missing.join(", ")}`);
  return found;
}

function isMadeFrom(name, entry, output) {
  const extension = path.extname(entry);
  if (path.extname(name) !== extension) return false;
  if (extension === ".js" || extension === ".css") {
    const source = { ...classic, ...entries }[path.basename(entry, extension)];
    return output.entryPoint === source;
  }
  const input = path.basename(entries[path.basename(entry, extension)], extension);
  return name.startsWith(`${input}-`) && Object.keys(output.inputs).length === 1;
}

// The licences of what the bundle carries travel with it.
async function licences(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const match = input.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (match) packages.add(match[1]);
  }
  const texts = [];
  for (const name of [...packages].sort()) texts.push(`== ${name} ==\n\n${await licence(name)}`);
  await writeFile(path.join(draft, "LICENCES.txt"), texts.join("\n\n"));
}

async function licence(name) {
  for (const file of ["LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "license"]) {
    try {
      return (await readFile(path.join(here, "node_modules", name, file), "utf8")).trim();
    } catch {
      continue;
    }
  }
  const description = JSON.parse(await readFile(path.join(here, "node_modules", name, "package.json"), "utf8"));
  return `Licence: ${description.license ?? "see the package"}`;
}

await rm(draft, { recursive: true, force: true });
await mkdir(draft, { recursive: true });
const metafile = await bundle();
await licences(metafile);
await writeFile(path.join(draft, "manifest.json"), JSON.stringify(manifest(metafile), null, 2));
await rm(dist, { recursive: true, force: true });
await rename(draft, dist);

// How the panes of the workbench are laid out: kept in the browser, put on the root element as numbers and attributes.
export type PaneName = "chapter" | "work" | "mesh";
export type Shown = "chapter" | "terminal" | "editor" | "mesh";
export interface Layout {
  chapter: number; // per cent of the window's width
  work: number; // per cent of the side
  folded: PaneName[];
  shown: Shown; // on a small screen, where panes are tabs
}

const KEY = "meshdojo-layout";
export const USUAL: Layout = { chapter: 46, work: 56, folded: [], shown: "chapter" };

export function load(): Layout {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Layout>;
    return {
      chapter: within(kept.chapter, 25, 75, USUAL.chapter),
      work: within(kept.work, 20, 80, USUAL.work),
      folded: Array.isArray(kept.folded) ? kept.folded.filter((name) => ["chapter", "work", "mesh"].includes(name)) : [],
      shown: "chapter",
    };
  } catch {
    return { ...USUAL };
  }
}

export function keep(layout: Layout): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(layout));
  } catch {
    // A browser that keeps nothing still works.
  }
}

export function apply(layout: Layout): void {
  const root = document.documentElement;
  root.style.setProperty("--chapter-share", String(layout.chapter));
  root.style.setProperty("--work-share", String(layout.work));
  root.dataset["folded"] = layout.folded.join(" ");
  root.dataset["shown"] = layout.shown;
}

export function within(value: unknown, least: number, most: number, usual: number): number {
  return typeof value === "number" && Number.isFinite(value) ? Math.min(Math.max(value, least), most) : usual;
}

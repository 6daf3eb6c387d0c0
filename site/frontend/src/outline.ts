// Marks in the outline the section that is being read.
export function followOutline(): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>("[data-outline] a")];
  const byId = new Map(links.map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const headings = [...byId.keys()].map((id) => document.getElementById(id)).filter((element) => element !== null);
  if (!headings.length) return;
  const mark = (): void => {
    const line = window.innerHeight * 0.3;
    const read = headings.filter((heading) => heading.getBoundingClientRect().top < line).at(-1) ?? headings[0];
    for (const link of links) link.removeAttribute("aria-current");
    byId.get(read?.id ?? "")?.setAttribute("aria-current", "true");
  };
  // The root reaches from far above down to the line: a heading enters or leaves it only by crossing the line.
  const observer = new IntersectionObserver(mark, { rootMargin: "1000000px 0px -70% 0px" });
  for (const heading of headings) observer.observe(heading);
}

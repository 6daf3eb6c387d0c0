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
  // Sections come and go at the line; only then is there anything to work out.
  const observer = new IntersectionObserver(mark, { rootMargin: "0px 0px -70% 0px" });
  for (const heading of headings) observer.observe(heading);
}

// Times in the reader's own zone and habit.
const MINUTE = 60_000;

export function localiseTimes(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[datetime]")) {
    const moment = new Date(element.dateTime);
    const text = Number.isNaN(moment.getTime()) ? element.textContent : words(moment, new Date(), "appointed" in element.dataset);
    if (text !== element.textContent) element.textContent = text;
  }
}

// What has happened is told from now; what is appointed (when a workshop begins) by its day.
function words(moment: Date, now: Date, appointed: boolean): string {
  const time = moment.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  const date = moment.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  if (appointed) return `${date}, ${time}`;
  const age = now.getTime() - moment.getTime();
  if (age >= 0 && age < MINUTE) return "just now";
  if (moment.toDateString() === now.toDateString()) return `at ${time}`;
  return `${date}, ${time}`;
}

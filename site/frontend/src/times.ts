// Times in the reader's own zone and habit.
const MINUTE = 60_000;

export function localiseTimes(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[datetime]")) {
    const moment = new Date(element.dateTime);
    const text = Number.isNaN(moment.getTime()) ? element.textContent : words(moment, new Date());
    if (text !== element.textContent) element.textContent = text;
  }
}

function words(moment: Date, now: Date): string {
  const age = now.getTime() - moment.getTime();
  if (age >= 0 && age < MINUTE) return "just now";
  const time = moment.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  if (moment.toDateString() === now.toDateString()) return `at ${time}`;
  return `${moment.toLocaleDateString(undefined, { day: "numeric", month: "short" })}, ${time}`;
}

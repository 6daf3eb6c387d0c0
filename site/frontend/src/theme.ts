// Light, dark or as the system has it. The choice is a cookie, so that the server sends the right page at once.
const CHOICES = ["system", "light", "dark"] as const;
type Choice = (typeof CHOICES)[number];
const YEAR_IN_SECONDS = 31_536_000;

export function serveThemeSwitch(): void {
  const button = document.querySelector<HTMLButtonElement>("[data-theme-switch]");
  if (!button) return;
  show(button, current());
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = CHOICES[(CHOICES.indexOf(current()) + 1) % CHOICES.length] ?? "system";
    choose(next);
    show(button, next);
  });
}

function current(): Choice {
  const value = document.documentElement.dataset["theme"];
  return value === "light" || value === "dark" ? value : "system";
}

function choose(choice: Choice): void {
  if (choice === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = choice;
  document.cookie = `theme=${choice}; Path=/; Max-Age=${YEAR_IN_SECONDS}; SameSite=Lax`;
  document.dispatchEvent(new CustomEvent("themechange"));
}

function show(button: HTMLButtonElement, choice: Choice): void {
  button.dataset["choice"] = choice;
  const label = button.querySelector("[data-theme-label]");
  if (label) label.textContent = `Theme: ${choice}`;
  button.title = `Theme: ${choice}`;
}

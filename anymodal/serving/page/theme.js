/** Light, dark, or as the system has it. */

import { icon } from "./dom.js";

const KEY = "anymodal.theme";
const THEMES = ["auto", "light", "dark"];
const LABELS = { auto: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" };

const current = () => localStorage.getItem(KEY) ?? "auto";

/** Show the theme, and what the button does. */
export function themeButton(button) {
  document.documentElement.dataset.theme = current();
  button.replaceChildren(icon(current()));
  button.setAttribute("aria-label", LABELS[current()]);
  button.title = LABELS[current()];
}

/** Change to the next theme. */
export function nextTheme(button) {
  localStorage.setItem(KEY, THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length]);
  themeButton(button);
}

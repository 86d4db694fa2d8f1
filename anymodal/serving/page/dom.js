/** Elements of the page, built without any HTML text, so that no text can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; attributes that begin with `on` are listeners. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** The element of this id. */
export const byId = (id) => document.getElementById(id);

const ICONS = {
  attach:
    "M19 11.5 11.8 18.7a4.6 4.6 0 0 1-6.5-6.5L12.9 4.6a3 3 0 0 1 4.3 4.3L9.6 16.5a1.5 1.5 0 0 1-2.1-2.1l6.9-6.9",
  audio: "M4 10v4 M8 7v10 M12 4v16 M16 8v8 M20 10.5v3",
  branch:
    "M7 5.5v13 M7 13c0-4 10-2 10-6.5 M7 5.5m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M7 18.5m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0 M17 5.5m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  camera: "M4 8h3.5l1.5-2.5h6L16.5 8H20v11H4z M12 13m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0",
  check: "M5 12.5 10 17.5 19 7",
  close: "M6 6 18 18 M18 6 6 18",
  copy: "M9 9h10v11H9z M15 9V4H5v11h4",
  dark: "M19.5 14.5A8 8 0 1 1 9.5 4.5a6.5 6.5 0 0 0 10 10z",
  download: "M12 4v11 M7.5 11 12 15.5 16.5 11 M5 19.5h14",
  down: "M12 5v13 M6.5 12.5 12 18l5.5-5.5",
  edit: "M5 19l.8-3.6L16 5.2l2.8 2.8L8.6 18.2z M14 7.2l2.8 2.8",
  expand: "M9 4H4v5 M15 4h5v5 M9 20H4v-5 M15 20h5v-5",
  file: "M7 3.5h7l4 4V20.5H7z M14 3.5v4h4",
  image:
    "M4 5h16v14H4z M4 16l4.5-4.5 4 4 3-3L20 16.5 M15.5 9.2m-1.3 0a1.3 1.3 0 1 0 2.6 0a1.3 1.3 0 1 0-2.6 0",
  imu: "M3 12c1.5-7 3-7 4.5 0s3 7 4.5 0 3-7 4.5 0 3 5 4.5 0",
  auto: "M12 4a8 8 0 1 0 0 16z M12 4a8 8 0 0 1 0 16",
  key: "M8 15m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0 M10.5 12.5 18.5 4.5 M15.5 7.5l3 3",
  keyboard: "M3.5 7h17v10.5h-17z M7 10.5h.01 M10.3 10.5h.01 M13.6 10.5h.01 M17 10.5h.01 M8 14h8",
  left: "M14.5 6 8.5 12 14.5 18",
  light:
    "M12 12m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0 M12 3v2 M12 19v2 M3 12h2 M19 12h2 M5.6 5.6 7 7 M17 17l1.4 1.4 M5.6 18.4 7 17 M17 7l1.4-1.4",
  menu: "M4 7h16 M4 12h16 M4 17h16",
  mic: "M9 5.5a3 3 0 0 1 6 0v6a3 3 0 0 1-6 0z M5.5 11.5a6.5 6.5 0 0 0 13 0 M12 18v3",
  more: "M5.5 11.5a.5.5 0 1 0 0 1a.5.5 0 1 0 0-1z M12 11.5a.5.5 0 1 0 0 1a.5.5 0 1 0 0-1z M18.5 11.5a.5.5 0 1 0 0 1a.5.5 0 1 0 0-1z",
  open: "M4 18.5V6h5l2 2.5h9v10z",
  pause: "M8.5 6v12 M15.5 6v12",
  play: "M8 5.5 18.5 12 8 18.5z",
  plus: "M12 5v14 M5 12h14",
  record: "M12 12m-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0",
  retry: "M19 12a7 7 0 1 1-2.2-5.1L19 9 M19 4.5V9h-4.5",
  right: "M9.5 6 15.5 12 9.5 18",
  search: "M11 11m-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0 M15.5 15.5 20 20",
  send: "M12 19V6 M6 11.5 12 5.5l6 6",
  settings:
    "M4 7.5h9 M17.5 7.5H20 M4 16.5h2.5 M11 16.5h9 M15.2 7.5m-2.2 0a2.2 2.2 0 1 0 4.4 0a2.2 2.2 0 1 0-4.4 0 M8.8 16.5m-2.2 0a2.2 2.2 0 1 0 4.4 0a2.2 2.2 0 1 0-4.4 0",
  share: "M12 15V4 M8 7.5 12 3.5l4 4 M7 11H5v9h14v-9h-2",
  stop: "M7.5 7.5h9v9h-9z",
  trash: "M5 7h14 M9.5 7V4.5h5V7 M7 7l.8 12.5h8.4L17 7 M10.3 10.5v5.5 M13.7 10.5v5.5",
  video: "M4 6.5h11v11H4z M15 10.5l5-3v9l-5-3",
};

/** A drawing by name, hidden from screen readers: its button has the label. */
export function icon(name) {
  const path = ICONS[name] ?? ICONS.file;
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: path }),
  );
}

/** A button of an icon alone, named by its label. */
export function iconButton(name, label, onclick, attributes = {}) {
  return h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...attributes },
    icon(name),
  );
}

/** Call a function with the next frame; a page in the background has none. */
export function soon(action) {
  if (document.hidden) setTimeout(action, 50);
  else requestAnimationFrame(action);
}

/** Tell screen readers, politely. */
export function announce(text) {
  const region = byId("announcer");
  region.textContent = "";
  // A region that changes within one frame may be passed over.
  soon(() => {
    region.textContent = text;
  });
}

/** Show a note for some seconds, or until it is closed if it tells of an error. */
export function notify(text, isError = false) {
  const close = iconButton("close", "Close this note", () => note.remove());
  const note = h(
    "div",
    { class: `note${isError ? " error" : ""}`, role: isError ? "alert" : "status" },
    h("span", {}, text),
    close,
  );
  byId("notes").append(note);
  if (!isError) setTimeout(() => note.remove(), 5000);
}

/** Copy a text to the clipboard, and tell of it. */
export async function copyText(text) {
  // Only secure pages have a clipboard's interface; a page in one's own network may be none.
  const isCopied = await (navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  ) ?? copySelected(text));
  notify(isCopied ? "Copied." : "The browser lets no page copy; select the text instead.", !isCopied);
}

function copySelected(text) {
  const { activeElement } = document;
  const area = h("textarea", { class: "hidden", readonly: true }, text);
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  activeElement?.focus();
  return isCopied;
}

/** Dispatches what changed to who listens: `listen(name, function)`, `tell(name, detail)`. */
export class Topics {
  #listeners = new Map();

  listen(name, listener) {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  tell(name, detail) {
    for (const listener of this.#listeners.get(name) ?? []) listener(detail);
  }
}

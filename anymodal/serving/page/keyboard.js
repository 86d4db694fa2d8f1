/** Shortcuts, and the dialog that lists them. */

import { byId, h, iconButton } from "./dom.js";

const LIST = [
  ["Enter", "send"],
  ["Shift + Enter", "a new line"],
  ["Esc", "stop the reply, close what is open"],
  ["↑ in an empty box", "edit the last message"],
  ["Ctrl + K", "search conversations"],
  ["Alt + N", "a new conversation"],
  ["Alt + A", "attach files"],
  ["Alt + S", "settings"],
  ["← →", "media before and behind, in full size"],
  ["?", "this list"],
];

/** Listen for shortcuts. */
export function addShortcuts({ chat, composer, search, begin, settings, attach }) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, textarea, select");
    const keys = `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${event.altKey ? event.code : event.key}`;
    const actions = {
      "Ctrl+k": () => openSearch(search),
      "Alt+KeyN": begin,
      "Alt+KeyA": attach,
      "Alt+KeyS": settings,
    };
    if (!isTyping) actions["?"] = openHelp;
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
      if (document.body.classList.contains("drawer")) document.body.classList.remove("drawer");
      else if (chat.writing) chat.stop();
      composer.focus();
    } else if (actions[keys] && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      actions[keys]();
    }
  });
}

function openSearch(search) {
  // Where the list is a drawer; elsewhere it would take the next Esc, which ends a reply.
  if (matchMedia("(max-width: 760px)").matches) document.body.classList.add("drawer");
  search.focus();
  search.select();
}

/** Open the list of shortcuts. */
export function openHelp() {
  const dialog = byId("shortcuts");
  dialog.replaceChildren(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", {}, "Keyboard"),
      iconButton("close", "Close (Esc)", () => dialog.close()),
    ),
    h(
      "dl",
      { class: "shortcuts" },
      LIST.flatMap(([keys, action]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, action)]),
    ),
  );
  dialog.showModal();
}

/** Menus beside a button: arrows move, Escape closes, and the focus returns to the button. */

import { h, icon } from "./dom.js";

/** Open a menu.
 *
 * @param button it belongs to.
 * @param items `{icon, label, act, isDanger}`.
 * @param content shown above them.
 */
export function showMenu(button, items, content = null) {
  document.querySelector(".menu")?.remove();
  const role = items.length ? "menu" : "dialog";
  const menu = h(
    "div",
    { class: "menu", role, tabindex: "-1", "aria-label": button.getAttribute("aria-label") ?? "Menu" },
    content,
    items.map((item) =>
      h(
        "button",
        {
          type: "button",
          role: "menuitem",
          class: item.isDanger ? "danger" : "",
          onclick: () => {
            close();
            item.act();
          },
        },
        icon(item.icon),
        item.label,
      ),
    ),
  );
  const close = () => {
    menu.remove();
    document.removeEventListener("pointerdown", outside, true);
    button.setAttribute("aria-expanded", "false");
    button.focus();
  };
  const outside = (event) => {
    if (!menu.contains(event.target)) close();
  };
  menu.addEventListener("keydown", (event) => onKey(event, menu, close));
  document.addEventListener("pointerdown", outside, true);
  button.setAttribute("aria-expanded", "true");
  // Within a dialog, what stands outside of it can't be reached.
  (button.closest("dialog") ?? document.body).append(menu);
  place(menu, button.getBoundingClientRect());
  (menu.querySelector("button") ?? menu).focus();
}

function onKey(event, menu, close) {
  const items = [...menu.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to !== undefined && items.length) {
    event.preventDefault();
    items[(to + items.length) % items.length].focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    close();
  }
}

function place(menu, anchor) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.max(8, Math.min(anchor.right - width, innerWidth - width - 8));
  const below = anchor.bottom + 4;
  menu.style.left = `${left}px`;
  menu.style.top = `${below + height > innerHeight - 8 ? Math.max(8, anchor.top - height - 4) : below}px`;
}

/** Ask for a line of text; null if the dialog is closed without one. */
export function askText(title, label, value) {
  const input = h("input", { type: "text", value, maxlength: "120", required: true });
  return ask(title, h("label", {}, label, input), "Save", () => input.value.trim() || null, input);
}

/** Ask whether to do something that can't be undone. */
export const confirm = (title, text, action) => ask(title, h("p", {}, text), action, () => true, null, true);

function ask(title, content, action, result, first, isDanger = false) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "small", "aria-labelledby": "ask-title" });
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "ask-title" }, title),
      content,
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        h("button", { type: "submit", class: isDanger ? "primary danger" : "primary" }, action),
      ),
    );
    let answer = null;
    form.addEventListener("submit", () => {
      answer = result();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    dialog.append(form);
    document.body.append(dialog);
    dialog.showModal();
    first?.select();
  });
}

/** The dialog for the server's API key. */

import { apiKey } from "./api.js";
import { h } from "./dom.js";

/** Ask for the key; resolves when the dialog is closed. */
export function askKey(reason) {
  return new Promise((resolve) => {
    const key = h("input", { type: "password", autocomplete: "off", spellcheck: "false" });
    const remember = h("input", { type: "checkbox", checked: apiKey.isOnDevice() });
    key.value = apiKey.get();
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "key-title" }, "API key"),
      h("p", {}, reason),
      h("label", {}, "Key", key),
      h("label", { class: "check" }, remember, "Remember it on this device"),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Use this key")),
    );
    const dialog = h("dialog", { class: "small", "aria-labelledby": "key-title" }, form);
    form.addEventListener("submit", () => apiKey.set(key.value.trim(), remember.checked));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
    key.focus();
  });
}

/** Settings of the open conversation: model, system prompt, and how replies are made. */

import { byId, h, iconButton } from "./dom.js";
import { kindLabel } from "./files.js";

const NUMBERS = [
  [
    "steps",
    "Steps",
    { min: 1, max: 1000, step: 1 },
    "the model's",
    "Denoising steps of media: more are slower and finer.",
  ],
  [
    "guidance",
    "Guidance",
    { min: 0, max: 100, step: "any" },
    "the model's",
    "How closely media follow what is asked for.",
  ],
  [
    "seed",
    "Seed",
    { min: 0, max: 2 ** 53 - 1, step: 1 },
    "a new one each time",
    "The same seed gives the same reply. Answering again adds 1.",
  ],
  ["temperature", "Temperature", { min: 0, max: 2, step: "any" }, "0", "0 always takes the likeliest word."],
  ["maxTokens", "Longest reply", { min: 1, max: 100_000, step: 1 }, "256", "In tokens."],
];

/** Open the dialog. A change counts at once, from the next reply on. */
export function openSettings(chat) {
  const dialog = byId("settings");
  const { settings } = chat.conversation;
  const set = (name, value) => chat.change({ settings: { [name]: value } });
  const system = h("textarea", {
    id: "set-system",
    rows: "3",
    placeholder: "Instructions before the conversation",
    onchange: () => set("system", system.value),
  });
  system.value = settings.system ?? "";
  const models = h(
    "select",
    {
      id: "set-model",
      onchange: () => {
        set("model", models.value);
        redrawKinds();
      },
    },
    chat.models.map((each) => h("option", { value: each.id, selected: each.id === chat.model?.id }, each.id)),
  );
  const kinds = h("fieldset", {});
  const redrawKinds = () =>
    kinds.replaceChildren(h("legend", {}, "A reply may hold"), ...kindBoxes(chat, set));
  redrawKinds();
  dialog.replaceChildren(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id: "settings-title" }, "Settings of this conversation"),
      iconButton("close", "Close (Esc)", () => dialog.close()),
    ),
    h(
      "div",
      { class: "form" },
      h("label", { for: "set-model" }, "Model"),
      models,
      h("label", { for: "set-system" }, "System prompt"),
      system,
      kinds,
      h(
        "div",
        { class: "grid" },
        NUMBERS.map((each) => numberField(settings, set, ...each)),
      ),
    ),
  );
  dialog.showModal();
}

function numberField(settings, set, name, label, range, placeholder, hint) {
  const note = h("span", { class: "hint", id: `hint-${name}`, "aria-live": "polite" }, hint);
  const input = h("input", {
    type: "number",
    id: `set-${name}`,
    ...range,
    placeholder,
    "aria-describedby": `hint-${name}`,
    onchange: () => {
      const isValid = input.checkValidity();
      note.textContent = isValid ? hint : input.validationMessage; // in one place, so that nothing moves
      note.classList.toggle("error", !isValid);
      input.setAttribute("aria-invalid", String(!isValid));
      if (isValid) set(name, input.value === "" ? null : Number(input.value));
    },
  });
  input.value = settings[name] ?? "";
  return h("div", { class: "field" }, h("label", { for: `set-${name}` }, label), input, note);
}

function kindBoxes(chat, set) {
  const output = chat.model?.modalities.output ?? [];
  const chosen = chat.conversation.settings.modalities ?? output;
  const boxes = output.map((kind) =>
    h("input", {
      type: "checkbox",
      value: kind,
      checked: chosen.includes(kind),
      disabled: kind === "text",
      onchange: () => {
        const checked = boxes.filter((box) => box.checked).map((box) => box.value);
        set("modalities", checked.length === output.length ? null : checked);
      },
    }),
  );
  return boxes.map((box) => h("label", { class: "check" }, box, kindLabel(box.value)));
}

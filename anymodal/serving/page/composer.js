/** The box in which a message is written, with its files. */

import { h, icon, iconButton, notify, soon } from "./dom.js";
import { kindOf, mimeOf, refusal } from "./files.js";
import { mediumContent, mediumLabel, fileCard } from "./media.js";
import { showMenu } from "./menu.js";
import { openRecorder, RECORDERS } from "./recorder.js";

let number = 0;

/** A text with files. */
export class Composer {
  /**
   * @param chat the state of the page.
   * @param options `parts` of a message to edit, `onSend(parts)`, `onCancel()`, `onEmptyUp()`.
   */
  constructor(chat, { parts = [], onSend, onCancel = null, onEmptyUp = null }) {
    Object.assign(this, { chat, onSend, onCancel, onEmptyUp });
    this.files = [];
    const id = `text-${number++}`;
    this.text = h("textarea", {
      id,
      rows: "1",
      placeholder: "Write a message",
      "aria-label": onCancel ? "Edited message" : "Message",
      oninput: () => this.#fit(),
      onkeydown: (event) => this.#onKey(event),
      onpaste: (event) => this.#onPaste(event),
    });
    this.text.value = parts
      .filter((part) => part.type === "text")
      .map((part) => part.text)
      .join("\n");
    this.chips = h("ul", { class: "chips", "aria-label": "Attached files", hidden: true });
    this.choice = h("input", {
      type: "file",
      multiple: true,
      hidden: true,
      "aria-label": "Choose files",
      onchange: () => this.#onChoice(),
    });
    this.button = h("button", { type: "button", class: "send", onclick: () => this.#onButton() });
    this.element = h(
      "div",
      { class: "composer", role: "group", "aria-label": onCancel ? "Edit the message" : "New message" },
      this.chips,
      this.text,
      this.#tools(),
      this.choice,
    );
    for (const part of parts.filter((each) => each.type === "media")) this.#addPart(part);
    this.showState();
    soon(() => this.#fit());
  }

  #tools() {
    const attach = iconButton("attach", "Attach files", () => this.choice.click(), { "data-tool": "attach" });
    const record = iconButton("mic", "Record sound, a picture or video", () => this.#chooseRecorder(record), {
      "aria-haspopup": "menu",
      "data-tool": "record",
    });
    const cancel = this.onCancel && h("button", { type: "button", onclick: () => this.onCancel() }, "Cancel");
    return h(
      "div",
      { class: "composer-tools" },
      attach,
      record,
      h("span", { class: "space" }),
      cancel,
      this.button,
    );
  }

  focus() {
    this.text.focus();
  }

  setText(text) {
    this.text.value = text;
    this.#fit();
    this.focus();
    this.showState();
  }

  /** The button sends, or stops the reply that is being written. */
  showState() {
    const writing = !this.onCancel && this.chat.conversation && this.chat.writing;
    const label = writing ? "Stop (Esc)" : "Send (Enter)";
    this.button.replaceChildren(icon(writing ? "stop" : "send"));
    this.button.classList.toggle("stop", Boolean(writing));
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
    this.button.disabled = !writing && !this.text.value.trim() && !this.files.length;
  }

  #onButton() {
    if (this.button.classList.contains("stop")) this.chat.stop();
    else this.#send();
  }

  #send() {
    const text = this.text.value.trim();
    if (!text && !this.files.length) return;
    if (this.chat.writing) {
      notify("The reply is still being written; wait for it, or stop it with Esc.");
      return;
    }
    if (!this.chat.model) {
      notify("The server has no model that replies, or can't be reached.", true);
      return;
    }
    const parts = [...this.files.map((file) => file.part), ...(text ? [{ type: "text", text }] : [])];
    this.files = [];
    this.chips.replaceChildren();
    this.chips.hidden = true;
    this.text.value = "";
    this.#fit();
    this.onSend(parts);
  }

  /** Attach files, as far as the model reads them. */
  async add(files) {
    for (const file of files) {
      const { model, facts } = this.chat;
      if (!model) return;
      const kind =
        file.size <= facts.limits.file_bytes && file.size > 0
          ? kindOf(file, model, facts.suffixes)
          : undefined;
      if (kind === undefined) {
        notify(refusal(file, model, facts.limits), true);
      } else if (kind === null) {
        this.setText([this.text.value, await file.text()].filter(Boolean).join("\n\n"));
      } else {
        await this.#addFile(file, kind);
      }
    }
    this.showState();
    this.focus();
  }

  async #addFile(file, kind) {
    try {
      // A copy, since the file on disk may change or go.
      const blob = new Blob([await file.arrayBuffer()], { type: mimeOf(file) });
      this.#addPart({
        type: "media",
        kind,
        mime: mimeOf(file),
        name: file.name,
        blob: await this.chat.addBlob(blob),
      });
    } catch (error) {
      notify(`${file.name} can't be attached: ${error.message}`, true);
    }
  }

  async #addPart(part) {
    const face = h("div", { class: "face" });
    const entry = { part };
    const remove = iconButton("close", `Remove ${mediumLabel(part)}`, () => {
      this.files.splice(this.files.indexOf(entry), 1);
      chip.remove();
      this.chips.hidden = !this.files.length;
      this.showState();
      this.focus();
    });
    const chip = h(
      "li",
      { class: `chip ${part.kind}`, title: mediumLabel(part) },
      face,
      h("span", { class: "name" }, mediumLabel(part)),
      remove,
    );
    this.files.push(entry);
    this.chips.append(chip);
    this.chips.hidden = false;
    this.showState();
    const blob = await this.chat.readBlob(part.blob);
    const card = () => face.replaceChildren(fileCard(part, blob));
    if (!blob) card();
    else face.append(mediumContent(part, blob, card));
    face.querySelector("video")?.removeAttribute("controls");
  }

  #onChoice() {
    this.add([...this.choice.files]);
    this.choice.value = "";
  }

  #onPaste(event) {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  #onKey(event) {
    // A phone's keyboard has no Shift + Enter; there the button sends.
    const hasKeys = !matchMedia("(pointer: coarse)").matches;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && hasKeys) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape" && this.onCancel) {
      event.stopPropagation();
      this.onCancel();
    } else if (event.key === "ArrowUp" && !this.text.value && this.onEmptyUp) {
      event.preventDefault();
      this.onEmptyUp();
    }
  }

  #chooseRecorder(button) {
    const reads = this.chat.model?.modalities.input ?? [];
    const items = RECORDERS.filter((each) => reads.includes(each.kind)).map((each) => ({
      icon: each.icon,
      label: each.label,
      act: () => openRecorder(each, (file) => this.add([file])),
    }));
    if (items.length) showMenu(button, items);
    else notify("This model reads nothing that can be recorded here.");
  }

  #fit() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, innerHeight * 0.4)}px`;
    this.showState();
  }
}

/** One message of the conversation, with what can be done about it. */

import { isWriting, textOf } from "./conversation.js";
import { copyText, h, icon, iconButton } from "./dom.js";
import { markdown } from "./markdown.js";
import { mediumView, progressView } from "./media.js";
import { showMenu } from "./menu.js";

/** The view of a message, which follows its message while that is written. */
export class MessageView {
  #parts = [];

  /**
   * @param message of the conversation.
   * @param siblings the message and those in its place in other branches.
   * @param actions `edit, retry, goTo, branch, readBlob, openViewer`.
   */
  constructor(message, siblings, actions) {
    Object.assign(this, { message, siblings, actions });
    this.body = h("div", { class: "body" });
    this.foot = h("div", { class: "foot" });
    const who = message.role === "user" ? "You" : (message.info.model ?? "Model");
    this.element = h(
      "li",
      { class: `message ${message.role}`, "data-id": message.id },
      h("span", { class: "who" }, who),
      this.body,
      this.foot,
    );
    this.update(message);
  }

  /** Show the message as it is now; parts that didn't change stay, so that what plays goes on. */
  update(message) {
    this.message = message;
    const writing = isWriting(message);
    const parts = message.parts.filter((part) => writing || part.type !== "making");
    for (const [place, part] of parts.entries()) this.#setPart(place, part);
    for (const extra of this.#parts.splice(parts.length)) extra.element.remove();
    this.element.classList.toggle("writing", writing);
    this.element.setAttribute("aria-busy", String(writing));
    this.#showState(message, writing, parts.length > 0);
    this.#showFoot(message, writing);
  }

  #setPart(place, part) {
    const version = part.type === "text" ? part.text : `${part.type} ${part.step} ${part.blob}`;
    const view = this.#parts[place];
    if (view?.version === version) return;
    const element = this.#partView(part);
    if (view) view.element.replaceWith(element);
    else this.body.insertBefore(element, this.body.querySelector(":scope > .state"));
    this.#parts[place] = { version, element };
  }

  #partView(part) {
    if (part.type === "text") {
      // What the user typed stands as it was typed.
      return this.message.role === "user"
        ? h("p", { class: "typed" }, part.text)
        : h("div", { class: "prose" }, markdown(part.text));
    }
    if (part.type === "making") return progressView(part);
    const slot = h("div", { class: "slot" });
    this.actions.readBlob(part.blob).then(
      (blob) => slot.replaceChildren(mediumView(part, blob, this.actions.openViewer)),
      () => slot.replaceChildren(mediumView(part, null, this.actions.openViewer)),
    );
    return slot;
  }

  #showState(message, writing, hasParts) {
    this.body.querySelector(":scope > .state")?.remove();
    if (message.role !== "assistant") return;
    const { status, info } = message;
    let state = null;
    if (writing && !hasParts)
      state = h(
        "p",
        { class: "state waiting", role: "status" },
        h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
        h("span", { class: "hidden" }, "The model reads"),
      );
    else if (status === "failed") state = h("p", { class: "state error", role: "alert" }, message.error);
    else if (status === "stopped" || (status === "writing" && !writing))
      state = h("p", { class: "state" }, "Stopped.");
    else if (info.finish === "length")
      state = h("p", { class: "state" }, "Cut off at the longest reply, which the settings have.");
    else if (!writing && !hasParts) state = h("p", { class: "state" }, "The reply is empty.");
    if (info.dropped && state === null)
      state = h(
        "p",
        { class: "state" },
        "The oldest messages were left out: they have more media than a request may hold.",
      );
    if (state) this.body.append(state);
  }

  #showFoot(message, writing) {
    const { actions, siblings } = this;
    const text = textOf(message);
    this.foot.replaceChildren(
      ...[
        siblings.length > 1 && this.#branches(),
        !writing &&
          text &&
          iconButton("copy", "Copy the text", () => copyText(text)),
        !writing &&
          message.role === "user" &&
          iconButton("edit", "Edit this message", () => actions.edit(this)),
        !writing &&
          message.role === "assistant" &&
          iconButton("retry", "Answer again", () => actions.retry(message)),
        !writing &&
          iconButton("branch", "Go on from here in a new conversation", () => actions.branch(message)),
        !writing && message.role === "assistant" && this.#details(message),
      ].filter(Boolean),
    );
  }

  #branches() {
    const { siblings, actions } = this;
    const place = siblings.findIndex((each) => each.id === this.message.id);
    const go = (by) => actions.goTo(siblings[place + by]);
    return h(
      "span",
      { class: "branches", role: "group", "aria-label": "Versions" },
      iconButton("left", "Previous version", () => go(-1), { disabled: place === 0 }),
      h("span", {}, `${place + 1} / ${siblings.length}`),
      iconButton("right", "Next version", () => go(1), { disabled: place === siblings.length - 1 }),
    );
  }

  #details(message) {
    const { info } = message;
    const rows = [
      ["Model", info.model],
      ["Seed", info.seed],
      ["Time", info.seconds && `${info.seconds.toFixed(1)} s`],
      ["Tokens in", info.usage?.prompt_tokens],
      ["Tokens out", info.usage?.completion_tokens],
      ["Warnings", info.warnings?.join("; ")],
    ].filter(([, value]) => value != null && value !== "");
    const button = h(
      "button",
      {
        type: "button",
        class: "icon-button",
        "aria-label": "Details of this reply",
        title: "Details",
        "aria-haspopup": "true",
      },
      icon("more"),
    );
    button.addEventListener("click", () =>
      showMenu(
        button,
        [],
        h(
          "dl",
          { class: "details" },
          rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]),
        ),
      ),
    );
    return button;
  }
}

/** The messages of the open conversation. */

import { isWriting, STALE, textOf } from "./conversation.js";
import { announce, byId, h, icon, soon } from "./dom.js";
import { kindLabel, kindList } from "./files.js";
import { Composer } from "./composer.js";
import { MessageView } from "./message.js";
import { openViewer } from "./viewer.js";

/** Pixels from the end at which a reader still follows it. */
const NEAR = 90;
/** Examples of what to say, by the kind of media that the reply then holds. */
const EXAMPLES = [
  ["text", "what can you do?"],
  ["image", "draw a big orange duck"],
  ["audio", "play the sound of a bell"],
  ["video", "film a green bird flying"],
];

/** Shows messages, and follows the newest while it is written. */
export class Thread {
  #views = new Map();
  #waiting = new Set();

  constructor(chat, composer) {
    Object.assign(this, { chat, composer });
    this.list = byId("messages");
    this.scroller = byId("thread");
    this.newest = byId("to-newest");
    this.newest.addEventListener("click", () => this.toEnd("smooth"));
    this.scroller.addEventListener("scroll", () => this.#onScroll());
    // Media take their height once they are loaded.
    new ResizeObserver(() => {
      if (this.follows) this.toEnd("instant");
    }).observe(this.list);
    chat.listen("conversation", (change) => this.render(change?.around));
    chat.listen("models", () => this.render());
    chat.listen("message", (message) => this.#schedule(message));
    chat.listen("end", (message) => this.#announceEnd(message));
    this.actions = {
      edit: (view) => this.#edit(view),
      retry: (message) => chat.retry(message),
      goTo: (message) => chat.goTo(message),
      branch: (message) => chat.branch(message),
      readBlob: (id) => chat.readBlob(id),
      openViewer: (part) => openViewer(this.#media(), part, (id) => chat.readBlob(id)),
    };
  }

  /** Show the whole conversation, to its end; or around a message of another branch, which stands where
   * that of the branch before stood.
   */
  render(around = null) {
    const { chat } = this;
    if (!chat.conversation) return;
    const path = chat.path;
    const hadFocus = this.list.contains(document.activeElement);
    const top = around && this.#topOf(around.parent);
    this.#views.clear();
    for (const message of path)
      this.#views.set(message.id, new MessageView(message, chat.tree.siblings(message), this.actions));
    this.list.replaceChildren(...[...this.#views.values()].map((view) => view.element));
    byId("welcome").replaceChildren(...(path.length || !chat.model ? [] : this.#welcome()));
    byId("welcome").hidden = path.length > 0;
    this.#watchOtherTab(path.at(-1));
    if (around) this.#stayAt(around, top);
    else this.toEnd("instant");
    if (hadFocus && !around) this.composer.focus();
  }

  #topOf(id) {
    return this.#views.get(id)?.element.getBoundingClientRect().top ?? null;
  }

  #stayAt(message, top) {
    this.follows = false;
    this.scroller.scrollTop += top === null ? -this.scroller.scrollTop : this.#topOf(message.parent) - top;
    this.top = this.scroller.scrollTop;
    this.#views.get(message.id)?.element.querySelector(".branches button:not(:disabled)")?.focus();
  }

  toEnd(behavior) {
    this.follows = true;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior });
    this.top = this.scroller.scrollTop;
  }

  /** Who scrolls up is not pulled down; what grows below is no scrolling up. */
  #onScroll() {
    const { scrollTop } = this.scroller;
    if (this.#isNearEnd()) this.follows = true;
    else if (scrollTop < this.top) this.follows = false;
    this.top = scrollTop;
    this.newest.hidden = this.follows;
  }

  #isNearEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** Update a message with the next frame, once for all that came until then. */
  #schedule(message) {
    if (!message || !this.#views.has(message.id)) return;
    if (!this.#waiting.size) {
      soon(() => {
        for (const each of this.#waiting) this.#views.get(each.id)?.update(each);
        this.#waiting.clear();
      });
    }
    this.#waiting.add(message);
    this.#watchOtherTab(message);
  }

  /** A reply that another tab writes no longer counts as being written, once that tab is gone. */
  #watchOtherTab(message) {
    clearTimeout(this.timer);
    if (message && isWriting(message))
      this.timer = setTimeout(() => {
        this.#views.get(message.id)?.update(message);
        this.chat.tell("end", message);
      }, STALE + 100);
  }

  #announceEnd(message) {
    if (!this.#views.has(message.id)) return;
    const media = message.parts.filter((part) => part.type === "media").map((part) => kindLabel(part.kind));
    const content = [textOf(message), media.length ? `with ${media.join(", ")}` : ""]
      .filter(Boolean)
      .join(", ");
    if (message.status === "done") announce(`Reply: ${content}`);
    if (message.status === "stopped") announce("Stopped.");
  }

  #media() {
    return this.chat.path.flatMap((each) => each.parts).filter((part) => part.type === "media");
  }

  #edit(view) {
    const { message, element } = view;
    const editor = new Composer(this.chat, {
      parts: message.parts,
      onSend: (parts) => this.chat.send(parts, message.parent),
      onCancel: () => {
        editor.element.replaceWith(view.body);
        element.classList.remove("editing");
      },
    });
    element.classList.add("editing");
    view.body.replaceWith(editor.element);
    editor.focus();
  }

  /** Edit the last of the user's messages. */
  editLast() {
    const last = [...this.#views.values()].filter((view) => view.message.role === "user").at(-1);
    if (last && !this.chat.writing) this.#edit(last);
  }

  #welcome() {
    const { model } = this.chat;
    const { input, output } = model.modalities;
    const examples = EXAMPLES.filter(([kind]) => output.includes(kind)).map(([kind, text]) =>
      h(
        "button",
        { type: "button", class: "example", onclick: () => this.composer.setText(text) },
        icon(kind === "text" ? "edit" : kind),
        text,
      ),
    );
    return [
      h("h2", {}, `Talk with ${model.id}`),
      h(
        "p",
        {},
        `It reads ${kindList(input)}, and answers with ${kindList(output)}. Drop, paste or record files, or just write.`,
      ),
      h("div", { class: "examples" }, examples),
    ];
  }
}

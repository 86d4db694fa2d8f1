/** The list of saved conversations, with its search. */

import { textOf } from "./conversation.js";
import { byId, h, icon, notify } from "./dom.js";
import { askText, confirm, showMenu } from "./menu.js";

const DAY = 86_400_000;
const AROUND = 40;

/** Lists conversations by day, newest first, or those that a search finds. */
export class Sidebar {
  #drawing = 0;

  constructor(chat) {
    this.chat = chat;
    this.list = byId("conversations");
    this.search = byId("search");
    this.search.addEventListener("input", () => this.#later());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.search.value) {
        this.search.value = "";
        this.render();
        event.stopPropagation();
      }
      if (event.key === "ArrowDown") this.list.querySelector("a")?.focus();
    });
    this.list.addEventListener("keydown", (event) => this.#onKey(event));
    for (const topic of ["list", "conversation"]) chat.listen(topic, () => this.#later());
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.render(), 120);
  }

  /** Show the list. */
  async render() {
    const drawing = ++this.#drawing;
    const all = (await this.chat.database.conversations()).sort((a, b) => b.updated - a.updated);
    const words = this.search.value.trim().toLowerCase();
    const hits = words ? await this.#matches(all, words) : all.map((conversation) => ({ conversation }));
    if (drawing !== this.#drawing) return; // a newer one is on its way
    const items = [];
    let day = "";
    for (const hit of hits) {
      const label = words ? "" : dayOf(hit.conversation.updated);
      if (label !== day) items.push(h("li", { class: "day" }, h("h3", {}, label)));
      day = label;
      items.push(this.#item(hit, words));
    }
    const empty = words
      ? "Nothing has these words."
      : "Conversations appear here. They stay in this browser.";
    this.list.replaceChildren(...(items.length ? items : [h("li", { class: "empty" }, empty)]));
  }

  async #matches(all, words) {
    const texts = new Map();
    for (const message of await this.chat.database.allMessages()) {
      const text = [textOf(message), ...message.parts.map((part) => part.name).filter(Boolean)].join(" ");
      texts.set(message.conversation, `${texts.get(message.conversation) ?? ""} ${text}`);
    }
    return all
      .map((conversation) => {
        const text = (texts.get(conversation.id) ?? "").replace(/\s+/g, " ");
        const at = text.toLowerCase().indexOf(words);
        if (at < 0 && !conversation.title.toLowerCase().includes(words)) return null;
        const from = Math.max(0, at - AROUND / 2);
        return {
          conversation,
          excerpt: at < 0 ? "" : `${from ? "…" : ""}${text.slice(from, at + words.length + AROUND)}`,
        };
      })
      .filter(Boolean);
  }

  #item({ conversation, excerpt }, words) {
    const { chat } = this;
    const isOpen = conversation.id === chat.conversation?.id;
    const link = h(
      "a",
      { href: `#${conversation.id}`, "aria-current": isOpen && "page", title: conversation.title },
      h("span", { class: "title" }, marked(conversation.title, words)),
      excerpt && h("span", { class: "excerpt" }, marked(excerpt, words)),
    );
    const more = h(
      "button",
      {
        type: "button",
        class: "icon-button",
        "aria-label": `Actions for ${conversation.title}`,
        "aria-haspopup": "menu",
      },
      icon("more"),
    );
    more.addEventListener("click", () =>
      showMenu(more, [
        { icon: "edit", label: "Rename", act: () => renameConversation(chat, conversation) },
        { icon: "trash", label: "Delete", isDanger: true, act: () => deleteConversation(chat, conversation) },
      ]),
    );
    return h("li", { class: "item" }, link, more);
  }

  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches("a")) return;
    event.preventDefault();
    const links = [...this.list.querySelectorAll("a")];
    const to = links[links.indexOf(event.target) + step];
    (to ?? (step < 0 ? this.search : event.target)).focus();
  }
}

/** Texts with the searched words marked. */
function marked(text, words) {
  const at = words ? text.toLowerCase().indexOf(words) : -1;
  if (at < 0) return [text];
  return [text.slice(0, at), h("mark", {}, text.slice(at, at + words.length)), text.slice(at + words.length)];
}

function dayOf(time) {
  const today = new Date().setHours(0, 0, 0, 0);
  if (time >= today) return "Today";
  if (time >= today - DAY) return "Yesterday";
  if (time >= today - 7 * DAY) return "Last 7 days";
  return new Date(time).toLocaleDateString(undefined, { month: "long", year: "numeric" });
}

/** Ask for another name of a conversation. */
export async function renameConversation(chat, conversation) {
  const title = await askText("Rename the conversation", "Name", conversation.title);
  if (!title) return;
  if (conversation.id === chat.conversation.id) await chat.change({ title });
  else await chat.save({ conversation: { ...conversation, title } });
}

/** Delete a conversation, if the user confirms it. */
export async function deleteConversation(chat, conversation) {
  if (
    !(await confirm(
      "Delete the conversation?",
      `“${conversation.title}” and its media are deleted from this browser.`,
      "Delete",
    ))
  )
    return;
  await chat.delete(conversation.id);
  notify("Deleted.");
}

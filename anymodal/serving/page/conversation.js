/** A conversation as a tree of messages: editing and retrying add a branch, and nothing is lost. */

import { newId } from "./database.js";

/** Milliseconds after which a reply that another tab wrote counts as broken off. */
export const STALE = 6000;
const TITLE_LENGTH = 48;

export const newConversation = (settings) => ({
  id: newId(),
  title: "",
  created: Date.now(),
  updated: Date.now(),
  head: null,
  settings: { ...settings },
});

export const newMessage = (conversation, parent, role, parts = [], status = "done") => ({
  id: newId(),
  conversation: conversation.id,
  parent,
  role,
  parts,
  status,
  created: Date.now(),
  info: {},
});

/** The texts of a message, one behind the other. */
export const textOf = (message) =>
  message.parts
    .filter((part) => part.type === "text")
    .map((part) => part.text)
    .join("\n")
    .trim();

/** Messages by their ids, and where a conversation stands among them. */
export class Tree {
  constructor(messages) {
    this.byId = new Map(messages.map((each) => [each.id, each]));
  }

  add(message) {
    this.byId.set(message.id, message);
  }

  /** Messages from the first to this one. */
  path(head) {
    const path = [];
    for (let each = this.byId.get(head); each; each = this.byId.get(each.parent)) path.unshift(each);
    return path;
  }

  children(id) {
    return [...this.byId.values()].filter((each) => each.parent === id).sort((a, b) => a.created - b.created);
  }

  /** The message and those that stand in its place in other branches, oldest first. */
  siblings(message) {
    return this.children(message.parent);
  }

  /** The end of the newest branch below a message. */
  leaf(id) {
    const below = this.children(id);
    return below.length ? this.leaf(below.at(-1).id) : id;
  }

  /** The newest of all messages' ids; null if there are none. */
  newest() {
    const last = [...this.byId.values()].reduce((a, b) => (!a || b.created >= a.created ? b : a), null);
    return last?.id ?? null;
  }
}

/** A title from the first thing that was said. */
export function titleOf(message) {
  const text = textOf(message).replace(/\s+/g, " ");
  if (!text)
    return message.parts[0] ? `About ${message.parts[0].name || message.parts[0].kind}` : "New conversation";
  return text.length > TITLE_LENGTH ? `${text.slice(0, TITLE_LENGTH - 1).trimEnd()}…` : text;
}

/** Whether a reply is being written, in this tab or another one. */
export const isWriting = (message) =>
  message.status === "writing" && Date.now() - (message.beat ?? 0) < STALE;

/** Messages as copies for another conversation, with ids of their own. */
export function copyMessages(messages, conversation) {
  const ids = new Map(messages.map((each) => [each.id, newId()]));
  return messages.map((each) => ({
    ...structuredClone(each),
    id: ids.get(each.id),
    parent: ids.get(each.parent) ?? null,
    conversation: conversation.id,
    status: each.status === "writing" ? "stopped" : each.status,
  }));
}

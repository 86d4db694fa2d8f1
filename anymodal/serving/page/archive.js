/** Conversations as files: JSON that can be opened again, a page with everything inside, Markdown. */

import { copyMessages, newConversation, Tree } from "./conversation.js";
import { newId } from "./database.js";
import { blobOf, dataUrl } from "./files.js";
import { pageOf } from "./report.js";

const FORMAT = "anymodal-conversation";
const MARK = '<script type="application/json" id="anymodal-conversation">';

/** A file name from a title. */
export const fileName = (title, suffix) =>
  `${
    title
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 60) || "conversation"
  }${suffix}`;

/** All of a conversation, with the media of the messages that are given, as JSON values. */
async function valuesOf(chat, withMedia) {
  const { title, created, settings, head } = chat.conversation;
  const messages = [];
  for (const message of chat.tree.byId.values()) {
    const parts = [];
    for (const part of message.parts) {
      if (part.type === "making") continue;
      const blob = part.type === "media" && withMedia(part) ? await chat.readBlob(part.blob) : null;
      parts.push(blob ? { ...part, data: await dataUrl(blob, part.mime) } : part);
    }
    const { id, parent, role, status, error, info } = message;
    messages.push({
      id,
      parent,
      role,
      created: message.created,
      status: status === "writing" ? "stopped" : status,
      error,
      info,
      parts,
    });
  }
  return { format: FORMAT, version: 1, title, created, settings, head, messages };
}

/** The conversation as JSON: all branches, media inside. */
export async function toJson(chat) {
  return new Blob([`${JSON.stringify(await valuesOf(chat, () => true), null, 1)}\n`], {
    type: "application/json",
  });
}

/** The conversation as a page that any browser shows, and that can be opened here again.
 *
 * Media of the branch that is shown stand in the page once; only those of other branches are in its data.
 */
export async function toHtml(chat) {
  const { path } = chat;
  const visible = new Set(path.flatMap((each) => each.parts.map((part) => part.blob)));
  const values = await valuesOf(chat, (part) => !visible.has(part.blob));
  // No text may end the element that it stands in.
  const data = `${MARK}${JSON.stringify(values).replaceAll("<", "\\u003c")}</script>`;
  return new Blob([await pageOf(chat.conversation.title, path, (id) => chat.readBlob(id), data)], {
    type: "text/html",
  });
}

/** The branch that is shown as Markdown, media inside as data URLs. */
export async function toMarkdown(chat) {
  const lines = [`# ${chat.conversation.title.replace(/\n/g, " ")}`, ""];
  for (const message of chat.path) {
    lines.push(`## ${message.role === "user" ? "You" : (message.info.model ?? "Model")}`, "");
    for (const part of message.parts) {
      if (part.type === "text")
        lines.push(
          ...part.text
            .trim()
            .split("\n")
            .map((line) => `> ${line}`.trimEnd()),
        );
      if (part.type === "media") lines.push(`> ${await markdownMedium(chat, part)}`);
      lines.push(">");
    }
    lines.splice(-1, 1, "");
  }
  return new Blob([lines.join("\n")], { type: "text/markdown" });
}

async function markdownMedium(chat, part) {
  const name = (part.name || part.kind).replace(/[[\]]/g, "");
  const blob = await chat.readBlob(part.blob);
  if (!blob) return `[${part.kind}: ${name}]`;
  return `${part.mime.startsWith("image/") ? "!" : ""}[${part.kind}: ${name}](${await dataUrl(blob, part.mime)})`;
}

/** Whether a file's text is a saved conversation. */
export const isConversation = (text) => text.includes(MARK) || text.slice(0, 200).includes(`"${FORMAT}"`);

/** Open a saved conversation as a new one; returns its id. */
export async function openArchive(chat, text) {
  const values = JSON.parse(dataOf(text));
  if (values.format !== FORMAT || !Array.isArray(values.messages))
    throw new Error("it holds no conversation of AnyModal");
  if (values.version !== 1)
    throw new Error(`it has version ${values.version}, which is newer than this page; update AnyModal`);
  const conversation = newConversation(settingsOf(values.settings));
  conversation.title = String(values.title || "Conversation").slice(0, 120);
  const blobs = [];
  const messages = values.messages.map((message) => readMessage(message, text, blobs));
  const copies = copyMessages(messages, conversation);
  const place = values.messages.findIndex((each) => each.id === values.head);
  conversation.head = copies[place]?.id ?? new Tree(copies).newest();
  await chat.save({ conversation, messages: copies, blobs });
  return conversation.id;
}

function dataOf(text) {
  const start = text.indexOf(MARK);
  return start < 0 ? text : text.slice(start + MARK.length, text.indexOf("</script>", start));
}

const SETTINGS = {
  model: "string",
  system: "string",
  steps: "number",
  guidance: "number",
  seed: "number",
  temperature: "number",
  maxTokens: "number",
};

function settingsOf(values = {}) {
  const settings = Object.fromEntries(
    Object.entries(SETTINGS)
      .filter(([name, type]) => typeof values[name] === type)
      .map(([name]) => [name, values[name]]),
  );
  if (Array.isArray(values.modalities)) settings.modalities = values.modalities.map(String);
  return settings;
}

/** A message of a file. Nothing of it is trusted: only fields that are known are taken. */
function readMessage(message, text, blobs) {
  const isUsers = message.role === "user";
  const parts = (message.parts ?? []).map((part) => readPart(part, text, blobs)).filter(Boolean);
  const info = Object.fromEntries(
    Object.entries(message.info ?? {}).filter(([, value]) => ["string", "number"].includes(typeof value)),
  );
  return {
    id: String(message.id),
    parent: message.parent == null ? null : String(message.parent),
    role: isUsers ? "user" : "assistant",
    created: Number(message.created) || Date.now(),
    status: ["done", "stopped", "failed"].includes(message.status) ? message.status : "done",
    error: message.error ? String(message.error) : undefined,
    info,
    parts,
  };
}

function readPart(part, text, blobs) {
  if (part.type === "text") return { type: "text", text: String(part.text) };
  if (part.type !== "media") return null;
  const id = newId();
  const data = part.data ?? dataInPage(text, part.blob);
  const blob = data && blobOf(data);
  if (blob) blobs.push({ id, blob });
  return {
    type: "media",
    kind: String(part.kind),
    mime: String(part.mime),
    name: String(part.name ?? ""),
    blob: id,
  };
}

/** The data URL of a medium that stands in the page itself. */
function dataInPage(text, id) {
  const mark = `data-blob="${id}" `;
  const start = text.indexOf(mark);
  if (start < 0) return null;
  const from = text.indexOf('"data:', start) + 1;
  return text.slice(from, text.indexOf('"', from));
}

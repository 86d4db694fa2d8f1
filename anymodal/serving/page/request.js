/** A conversation as the body of a request. */

import { dataUrl } from "./files.js";

const NUMBERS = {
  steps: "steps",
  guidance: "guidance",
  temperature: "temperature",
  maxTokens: "max_completion_tokens",
};

/** Media that a path of messages has. */
const countMedia = (path) =>
  path.flatMap((each) => each.parts).filter((part) => part.type === "media").length;

/** The messages that fit into a request: without the oldest turns where they have too many media. */
function fittingPath(path, mostMedia) {
  let first = 0;
  while (countMedia(path.slice(first)) > mostMedia) {
    const next = path.findIndex((each, place) => place > first && each.role === "user");
    if (next < 0) break;
    first = next;
  }
  return path.slice(first);
}

/** The path without questions whose reply failed: a file that broke one would break each that follows. */
function withoutFailed(path) {
  const isFailed = (message) => message?.status === "failed" && !message.parts.length;
  return path.filter((message, place) => !isFailed(message) && !isFailed(path[place + 1]));
}

/** The JSON text of a request, and which message and parts each of its entries came from.
 *
 * @param conversation whose settings count.
 * @param path its messages up to the user's last.
 * @param readBlob gives a medium's bytes.
 */
export async function requestOf(conversation, path, seed, readBlob, limits) {
  const { settings } = conversation;
  const usable = withoutFailed(path);
  const used = fittingPath(usable, limits.media);
  const sources = [];
  const messages = [];
  if (settings.system?.trim()) {
    messages.push({ role: "system", content: settings.system });
    sources.push(null);
  }
  for (const each of used) {
    const entry = await entryOf(each, readBlob);
    if (!entry.content.length) continue; // a reply that was stopped before it began
    messages.push({ role: each.role, content: entry.content });
    sources.push({ message: each, places: entry.places });
  }
  const body = {
    model: settings.model,
    messages,
    seed,
    stream: true,
    stream_options: { include_usage: true },
  };
  for (const [name, field] of Object.entries(NUMBERS)) {
    if (settings[name] != null && settings[name] !== "") body[field] = Number(settings[name]);
  }
  if (settings.modalities) body.modalities = settings.modalities;
  const text = JSON.stringify(body);
  if (text.length > limits.body_bytes) {
    const most = Math.floor(limits.body_bytes / 2 ** 20);
    throw new Error(
      `this conversation is ${Math.ceil(text.length / 2 ** 20)} MiB with its media, and the server takes ${most} MiB; use smaller files, or begin a new conversation`,
    );
  }
  return { body: text, sources, dropped: usable.length - used.length };
}

async function entryOf(message, readBlob) {
  const content = [];
  const places = [];
  for (const [place, part] of message.parts.entries()) {
    if (part.type === "text" && part.text) {
      content.push({ type: "text", text: part.text });
    } else if (part.type === "media") {
      const blob = await readBlob(part.blob);
      if (!blob) continue; // it was deleted with the browser's data
      const name = `${part.kind}_url`;
      content.push({ type: name, [name]: { url: await dataUrl(blob, part.mime) } });
    } else {
      continue;
    }
    places.push(place);
  }
  return { content, places };
}

/** The part of a conversation that an error is about: its message and place, or null. */
export function sourceOf(error, sources) {
  const [, entry, place] = /^messages\.(\d+)(?:\.content\.(\d+))?/.exec(error.param ?? "") ?? [];
  const source = sources[entry];
  return source ? { message: source.message, place: source.places[place] ?? null } : null;
}

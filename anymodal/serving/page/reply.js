/** A reply that is being written: chunks of the stream become parts of its message, in order. */

import { newId } from "./database.js";
import { blobOf, nameOf } from "./files.js";

/** Applies chunks to a message. */
export class ReplyWriter {
  #places = new Map();

  /**
   * @param message to write.
   * @param onBlob takes the bytes of a medium, by an id.
   * @param firstNumber of media that the model made in this conversation, for their names.
   */
  constructor(message, onBlob, firstNumber) {
    this.message = message;
    this.onBlob = onBlob;
    this.number = firstNumber;
  }

  /** Apply one chunk. */
  apply(chunk) {
    if (chunk.usage) this.message.info.usage = chunk.usage;
    if (chunk.warnings) this.message.info.warnings = chunk.warnings.map((each) => each.message);
    const choice = chunk.choices[0];
    if (!choice) return;
    if (choice.delta.content) this.#addText(choice.delta.content);
    for (const part of choice.delta.parts ?? []) this.#setMedium(part);
    if (choice.finish_reason) this.message.info.finish = choice.finish_reason;
  }

  #addText(text) {
    const last = this.message.parts.at(-1);
    if (last?.type === "text") last.text += text;
    else this.message.parts.push({ type: "text", text });
  }

  #setMedium(news) {
    let part = this.#places.get(news.index);
    if (!part) {
      part = { type: "making", kind: news.type.replace(/_url$/, ""), step: 0, steps: 0 };
      this.#places.set(news.index, part);
      this.message.parts.push(part);
    }
    if (news.status === "in_progress") Object.assign(part, { step: news.step, steps: news.steps });
    if (news.status === "completed") this.#complete(part, news[news.type].url);
  }

  #complete(part, url) {
    const blob = blobOf(url);
    const id = newId();
    this.onBlob(id, blob);
    delete part.step;
    delete part.steps;
    Object.assign(part, {
      type: "media",
      blob: id,
      mime: blob.type,
      name: nameOf(part.kind, blob.type, this.number++),
    });
  }

  /** Take out media that were not finished. */
  end() {
    this.message.parts = this.message.parts.filter((part) => part.type !== "making");
  }
}

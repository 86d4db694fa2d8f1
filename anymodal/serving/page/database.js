/** Conversations in this browser: one record a conversation, a message and a medium's bytes.
 *
 * Tabs write records of their own, so two that write in one conversation lose nothing of each other's.
 */

const VERSION = 1;

function request(work) {
  return new Promise((resolve, reject) => {
    work.onsuccess = () => resolve(work.result);
    work.onerror = () => reject(work.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/** An identifier that nothing else has. */
export function newId() {
  // Not randomUUID, which only secure pages have: a page in one's own network may be none.
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** Conversations, messages and media. */
export class Database {
  constructor(connection) {
    this.connection = connection;
    this.channel = new BroadcastChannel("anymodal");
  }

  static async open() {
    const opening = indexedDB.open("anymodal", VERSION);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("conversations", { keyPath: "id" });
      opening.result
        .createObjectStore("messages", { keyPath: "id" })
        .createIndex("conversation", "conversation");
      opening.result.createObjectStore("blobs", { keyPath: "id" });
    };
    return new Database(await request(opening));
  }

  /** Listen to what other tabs change: `{conversation, message, deleted}`. */
  onChange(listener) {
    this.channel.onmessage = (event) => listener(event.data);
  }

  #store(name, mode = "readonly") {
    return this.connection.transaction(name, mode).objectStore(name);
  }

  conversations() {
    return request(this.#store("conversations").getAll());
  }

  conversation(id) {
    return request(this.#store("conversations").get(id));
  }

  messages(conversation) {
    return request(this.#store("messages").index("conversation").getAll(conversation));
  }

  message(id) {
    return request(this.#store("messages").get(id));
  }

  allMessages() {
    return request(this.#store("messages").getAll());
  }

  /** The bytes of a medium; null if they are gone. */
  async blob(id) {
    return (await request(this.#store("blobs").get(id)))?.blob ?? null;
  }

  /** Write records, all of them or none; media come first, so that no message is without its own. */
  async put({ conversation, messages = [], blobs = [] }) {
    const transaction = this.connection.transaction(["conversations", "messages", "blobs"], "readwrite", {
      durability: "relaxed",
    });
    for (const each of blobs) transaction.objectStore("blobs").put(each);
    for (const each of messages) transaction.objectStore("messages").put(each);
    if (conversation) transaction.objectStore("conversations").put(conversation);
    try {
      await finished(transaction);
    } catch (error) {
      if (error?.name !== "QuotaExceededError") throw error;
      throw new Error("this browser has no room left for conversations; save and delete some of them");
    }
    const id = conversation?.id ?? messages[0]?.conversation;
    if (id) this.channel.postMessage({ conversation: id, messages: messages.map((each) => each.id) });
  }

  /** Delete a conversation, and media that no other one has. */
  async delete(id) {
    const transaction = this.connection.transaction(["conversations", "messages", "blobs"], "readwrite");
    const messages = transaction.objectStore("messages");
    transaction.objectStore("conversations").delete(id);
    const all = await request(messages.getAll());
    const blobsOf = (items) =>
      new Set(items.flatMap((each) => each.parts.map((part) => part.blob).filter(Boolean)));
    const others = blobsOf(all.filter((each) => each.conversation !== id));
    for (const each of all) if (each.conversation === id) messages.delete(each.id);
    for (const blob of blobsOf(all.filter((each) => each.conversation === id))) {
      if (!others.has(blob)) transaction.objectStore("blobs").delete(blob);
    }
    await finished(transaction);
    this.channel.postMessage({ conversation: id, deleted: true });
  }
}

/** The state of the page: the conversation that is open, and replies that are being written. */

import { listModels, readFacts, streamReply } from "./api.js";
import { copyMessages, isWriting, newConversation, newMessage, titleOf, Tree } from "./conversation.js";
import { newId } from "./database.js";
import { Topics } from "./dom.js";
import { ReplyWriter } from "./reply.js";
import { requestOf, sourceOf } from "./request.js";

const SAVE_MS = 700;
const MOST_SEED = 2 ** 31;

/** Conversations and their replies; tells `conversation`, `message`, `list` and `models`. */
export class Chat extends Topics {
  models = [];
  facts = null;
  conversation = null;
  tree = new Tree([]);
  #runs = new Map();
  #blobs = new Map();

  constructor(database, defaults) {
    super();
    this.database = database;
    this.defaults = defaults;
    database.onChange((change) => this.#onOtherTab(change));
  }

  /** Ask the server for its models and limits. */
  async connect() {
    [this.models, this.facts] = await Promise.all([listModels(), readFacts()]);
    this.tell("models");
  }

  /** The model of the open conversation; the first one where its own isn't served here. */
  get model() {
    return this.models.find((each) => each.id === this.conversation.settings.model) ?? this.models[0];
  }

  get path() {
    return this.tree.path(this.conversation.head);
  }

  /** The reply that is being written in the open conversation. */
  get writing() {
    return this.path.find(isWriting) ?? null;
  }

  /** Begin a conversation; it is saved with its first message. */
  begin() {
    const model = this.defaults.model ?? this.models[0]?.id;
    this.conversation = newConversation({ model, ...this.defaults });
    this.tree = new Tree([]);
    this.tell("conversation");
  }

  /** Open a saved conversation; returns whether it is there. */
  async open(id) {
    const conversation = await this.database.conversation(id);
    if (!conversation) return false;
    const messages = await this.database.messages(id);
    // A reply that this tab writes is newer here than in the database.
    for (const [place, each] of messages.entries())
      messages[place] = this.#runs.get(each.id)?.message ?? each;
    this.conversation = conversation;
    this.tree = new Tree(messages);
    if (!this.tree.byId.has(conversation.head)) conversation.head = this.tree.newest();
    this.tell("conversation");
    return true;
  }

  /** Say something: parts of the user's, after a message or at the end. */
  async send(parts, parent = this.conversation.head) {
    const { conversation } = this;
    const message = newMessage(conversation, parent, "user", parts);
    this.tree.add(message);
    if (!conversation.title) conversation.title = titleOf(message);
    await this.#answer(conversation, message);
  }

  /** Answer a message again, beside the reply that it has. */
  async retry(reply) {
    await this.#answer(this.conversation, this.tree.byId.get(reply.parent));
  }

  /** End the reply that is being written here. */
  stop() {
    for (const run of this.#runs.values()) if (run.conversation === this.conversation.id) run.abort.abort();
  }

  /** Show another branch, to its end. */
  async goTo(message) {
    this.conversation.head = this.tree.leaf(message.id);
    this.tell("conversation", { around: message });
    await this.save({ conversation: this.conversation });
  }

  /** Go on from a message in a conversation of its own. */
  async branch(message) {
    const copy = newConversation(this.conversation.settings);
    copy.title = `${this.conversation.title} (branch)`;
    const messages = copyMessages(this.tree.path(message.id), copy);
    copy.head = messages.at(-1).id;
    await this.save({ conversation: copy, messages });
    await this.open(copy.id);
  }

  /** Change settings or the title; a conversation without messages isn't saved yet. */
  async change({ settings = {}, title }) {
    const { conversation } = this;
    Object.assign(conversation.settings, settings);
    if (title !== undefined) conversation.title = title;
    if (conversation.head) await this.save({ conversation });
    this.tell("settings");
  }

  async delete(id) {
    for (const run of this.#runs.values()) if (run.conversation === id) run.abort.abort();
    await this.database.delete(id);
    if (this.conversation.id === id) this.begin();
    this.tell("list");
  }

  /** Write records, and tell of them. */
  async save(records) {
    await this.database.put(records);
    this.tell("list");
  }

  /** A medium's bytes. */
  async readBlob(id) {
    return this.#blobs.get(id) ?? this.database.blob(id);
  }

  /** Keep the bytes of a file of the user's; returns its id. */
  async addBlob(blob) {
    const id = newId();
    await this.database.put({ blobs: [{ id, blob }] });
    return id;
  }

  async #answer(conversation, question) {
    const siblings = this.tree.children(question.id).length;
    const reply = newMessage(conversation, question.id, "assistant", [], "writing");
    const { seed } = conversation.settings;
    // A retry adds one, as further choices of one request have the seeds that follow.
    reply.info = {
      model: this.model.id,
      seed: seed == null || seed === "" ? Math.floor(Math.random() * MOST_SEED) : Number(seed) + siblings,
    };
    reply.beat = Date.now();
    conversation.settings.model = this.model.id;
    conversation.head = reply.id;
    conversation.updated = Date.now();
    const tree = this.tree;
    tree.add(reply);
    this.tell("conversation");
    const run = { message: reply, conversation: conversation.id, abort: new AbortController() };
    this.#runs.set(reply.id, run);
    try {
      await this.save({ conversation, messages: [question, reply] });
      await this.#write(run, conversation, tree);
    } catch (error) {
      reply.error = error.message;
      reply.status = "failed";
    }
    this.#runs.delete(reply.id);
    this.tell("message", reply);
    this.tell("end", reply);
  }

  /** Write a reply, until it ends in whatever way. */
  async #write(run, conversation, tree) {
    const { message } = run;
    const began = performance.now();
    const blobs = [];
    const writer = new ReplyWriter(
      message,
      (id, blob) => {
        blobs.push({ id, blob });
        this.#blobs.set(id, blob);
      },
      mediaCount(tree) + 1,
    );
    const save = async () => {
      message.beat = Date.now();
      await this.database.put({ messages: [structuredClone(message)], blobs: blobs.splice(0) });
    };
    const timer = setInterval(() => save().catch(() => {}), SAVE_MS);
    let sources = [];
    try {
      const request = await requestOf(
        conversation,
        tree.path(message.parent),
        message.info.seed,
        (id) => this.readBlob(id),
        this.facts.limits,
      );
      sources = request.sources;
      message.info.dropped = request.dropped;
      for await (const chunk of streamReply(request.body, run.abort.signal)) {
        writer.apply(chunk);
        this.tell("message", message);
      }
      message.status = "done";
    } catch (error) {
      this.#fail(message, error, sources, run.abort.signal.aborted);
    } finally {
      clearInterval(timer);
    }
    writer.end();
    message.info.seconds = (performance.now() - began) / 1000;
    await save();
    for (const id of message.parts.map((part) => part.blob)) this.#blobs.delete(id);
  }

  #fail(message, error, sources, isStopped) {
    message.status = isStopped ? "stopped" : "failed";
    if (isStopped) return;
    const source = sourceOf(error, sources);
    const part = source?.message.parts[source.place];
    const reason = error.message.replace(/^messages\.[\w.]+: /, "");
    message.error = part?.name ? `${part.name}: ${reason}` : reason;
    message.info.errorStatus = error.status ?? null;
    if (part) message.info.errorPart = { message: source.message.id, place: source.place };
  }

  async #onOtherTab({ conversation, messages = [], deleted }) {
    this.tell("list");
    if (conversation !== this.conversation?.id) return;
    if (deleted) {
      this.begin();
      return;
    }
    const before = this.path.map((each) => each.id).join();
    for (const id of messages.filter((each) => !this.#runs.has(each))) {
      const message = await this.database.message(id);
      if (message) this.tree.add(message);
    }
    const saved = await this.database.conversation(conversation);
    if (!saved || this.conversation.id !== conversation) return;
    const { head } = this.conversation;
    Object.assign(this.conversation, saved);
    // Another branch that somebody opens there doesn't move this tab; what goes on here does.
    const goesOn = this.tree.path(saved.head).some((each) => each.id === head);
    this.conversation.head = head && !goesOn ? head : saved.head;
    if (this.path.map((each) => each.id).join() !== before) this.tell("conversation");
    else for (const id of messages) this.tell("message", this.tree.byId.get(id));
    this.tell("settings");
  }
}

const mediaCount = (tree) =>
  [...tree.byId.values()]
    .flatMap((each) => (each.role === "assistant" ? each.parts : []))
    .filter((part) => part.type === "media").length;

/** The page: opens the database, asks the server, and puts the parts together. */

import { ApiError, apiKey } from "./api.js";
import { fileName, isConversation, openArchive, toHtml, toJson, toMarkdown } from "./archive.js";
import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { Database } from "./database.js";
import { byId, h, icon, notify } from "./dom.js";
import { download } from "./files.js";
import { addShortcuts, openHelp } from "./keyboard.js";
import { askKey } from "./key.js";
import { showMenu } from "./menu.js";
import { openSettings } from "./settings.js";
import { deleteConversation, renameConversation, Sidebar } from "./sidebar.js";
import { nextTheme, themeButton } from "./theme.js";
import { Thread } from "./thread.js";

const NUMBERS = ["steps", "guidance", "seed", "temperature", "maxTokens"];

/** Settings of new conversations that the page's address gives, as `#new&steps=8&system=…`. */
function defaultsOf(hash) {
  const fields = new URLSearchParams(hash.replace(/^#new&?/, ""));
  const numbers = NUMBERS.filter((name) => fields.has(name)).map((name) => [name, Number(fields.get(name))]);
  const texts = ["model", "system"]
    .filter((name) => fields.has(name))
    .map((name) => [name, fields.get(name)]);
  return Object.fromEntries([...texts, ...numbers]);
}

async function start() {
  themeButton(byId("theme"));
  const database = await Database.open().catch(() => {
    throw new Error("this browser keeps nothing for it, as in some private windows");
  });
  const chat = new Chat(database, location.hash.startsWith("#new") ? defaultsOf(location.hash) : {});
  const composer = new Composer(chat, {
    onSend: (parts) => {
      chat.send(parts);
      composer.focus();
    },
    onEmptyUp: () => thread.editLast(),
  });
  byId("composer").append(composer.element);
  const thread = new Thread(chat, composer);
  const sidebar = new Sidebar(chat);
  for (const topic of ["conversation", "message", "end", "models"])
    chat.listen(topic, () => composer.showState());
  chat.listen("conversation", () => showHead(chat));
  chat.listen("settings", () => showHead(chat));
  chat.listen("models", () => showHead(chat));
  chat.listen("end", (message) => askKeyIfRefused(chat, message));
  // Asked once somebody has a conversation to lose; some browsers ask their user in turn.
  chat.listen("end", () => navigator.storage?.persist?.());
  bindButtons(chat, composer);
  bindDrops(chat, composer);
  addShortcuts({
    chat,
    composer,
    search: byId("search"),
    begin: () => beginNew(chat, composer),
    settings: () => openSettings(chat),
    attach: () => composer.choice.click(),
  });
  await openAddressed(chat);
  addEventListener("hashchange", () => openAddressed(chat).then(() => closeDrawer()));
  await connect(chat);
  await sidebar.render();
  composer.focus();
  document.body.dataset.ready = "true";
}

/** Open the conversation that the address names, or a new one. */
async function openAddressed(chat) {
  const id = location.hash.slice(1);
  if (id && id === chat.conversation?.id) return;
  const isNew = !id || id.startsWith("new");
  if (isNew || !(await chat.open(id))) {
    if (isNew || !chat.conversation) chat.begin();
  }
}

/** Ask the server for its models; where it wants a key, ask the user for it. */
async function connect(chat) {
  const banner = byId("banner");
  try {
    await chat.connect();
    banner.hidden = true;
    if (!chat.models.length) notify("This server has no model that replies.", true);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      await askKey(apiKey.get() ? "The server doesn't know this key." : "The server wants an API key.");
      return connect(chat);
    }
    banner.replaceChildren(
      h("span", {}, `${error.message[0].toUpperCase()}${error.message.slice(1)}`),
      h("button", { type: "button", onclick: () => connect(chat) }, "Try again"),
    );
    banner.hidden = false;
  }
}

async function askKeyIfRefused(chat, message) {
  if (message.info.errorStatus !== 401) return;
  await askKey("The server doesn't know this key.");
  await connect(chat);
}

/** Title, model and address of the open conversation. */
function showHead(chat) {
  const { conversation } = chat;
  if (!conversation) return;
  const title = conversation.title || "New conversation";
  byId("title").textContent = title;
  document.title = conversation.title ? `${title} · AnyModal` : "AnyModal";
  const address = conversation.head
    ? `#${conversation.id}`
    : location.hash.startsWith("#new")
      ? location.hash
      : "#";
  if (location.hash !== address && (conversation.head || location.hash))
    history.replaceState(null, "", address);
  byId("model").replaceChildren(
    ...chat.models.map((each) =>
      h("option", { value: each.id, selected: each.id === chat.model.id }, each.id),
    ),
  );
  byId("model").hidden = !chat.models.length;
  byId("more").disabled = !conversation.head;
}

function beginNew(chat, composer) {
  chat.begin();
  closeDrawer();
  composer.focus();
}

const closeDrawer = () => document.body.classList.remove("drawer");

function bindButtons(chat, composer) {
  const opener = byId("open-drawer");
  opener.append(icon("menu"));
  opener.addEventListener("click", () => {
    document.body.classList.add("drawer");
    byId("new").focus();
  });
  byId("shade").addEventListener("click", closeDrawer);
  byId("new").prepend(icon("plus"));
  byId("new").addEventListener("click", () => beginNew(chat, composer));
  byId("model").addEventListener("change", (event) => {
    chat.change({ settings: { model: event.target.value, modalities: null } });
    chat.tell("models");
  });
  byId("open-settings").append(icon("settings"));
  byId("open-settings").addEventListener("click", () => openSettings(chat));
  byId("to-newest").append(icon("down"));
  byId("theme").addEventListener("click", () => nextTheme(byId("theme")));
  byId("help").append(icon("keyboard"));
  byId("help").addEventListener("click", openHelp);
  byId("key").append(icon("key"));
  byId("key").addEventListener("click", async () => {
    await askKey("For servers that want one.");
    await connect(chat);
  });
  byId("import").append(icon("open"));
  byId("import").addEventListener("click", () => byId("import-file").click());
  byId("import-file").addEventListener("change", async (event) => {
    for (const file of event.target.files) await openFile(chat, file);
    event.target.value = "";
  });
  byId("more").append(icon("more"));
  byId("more").addEventListener("click", () => showMenu(byId("more"), conversationMenu(chat)));
}

function conversationMenu(chat) {
  const { conversation } = chat;
  const save = (build, suffix) => async () =>
    download(await build(chat), fileName(conversation.title, suffix));
  return [
    { icon: "edit", label: "Rename", act: () => renameConversation(chat, conversation) },
    { icon: "share", label: "Share as one file", act: () => share(chat) },
    { icon: "download", label: "Save as a page (.html)", act: save(toHtml, ".html") },
    { icon: "download", label: "Save as Markdown (.md)", act: save(toMarkdown, ".md") },
    { icon: "download", label: "Save as JSON (.json)", act: save(toJson, ".json") },
    { icon: "trash", label: "Delete", isDanger: true, act: () => deleteConversation(chat, conversation) },
  ];
}

/** Hand the conversation to another program where the system can, or else save it. */
async function share(chat) {
  const name = fileName(chat.conversation.title, ".html");
  const file = new File([await toHtml(chat)], name, { type: "text/html" });
  if (!navigator.canShare?.({ files: [file] })) {
    download(file, name);
    notify(`${name} holds the whole conversation. Any browser shows it, and AnyModal opens it.`);
    return;
  }
  await navigator.share({ files: [file], title: chat.conversation.title }).catch(() => {});
}

/** Open a saved conversation; returns whether the file is one. */
async function openFile(chat, file, isMaybe = false) {
  try {
    const text = await file.text();
    if (isMaybe && !isConversation(text)) return false;
    location.hash = await openArchive(chat, text);
  } catch (error) {
    notify(`${file.name} can't be opened: ${error.message}`, true);
  }
  return true;
}

/** Files that are dropped anywhere: saved conversations are opened, others are attached. */
function bindDrops(chat, composer) {
  let depth = 0;
  const show = (by) => {
    depth = Math.max(0, depth + by);
    document.body.classList.toggle("dropping", depth > 0);
  };
  addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) show(1);
  });
  addEventListener("dragleave", () => show(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    show(-depth);
    const files = [...event.dataTransfer.files];
    const others = [];
    for (const file of files) {
      const isMaybe = /\.(json|html)$/i.test(file.name);
      if (!isMaybe || !(await openFile(chat, file, true))) others.push(file);
    }
    if (others.length) composer.add(others);
  });
}

start().catch((error) => notify(`The page can't start: ${error.message}`, true));

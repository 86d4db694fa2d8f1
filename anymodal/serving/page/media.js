/** Media as elements: pictures, players, plots, and files that a browser can't show. */

import { h, icon, iconButton } from "./dom.js";
import { download, kindLabel, megabytes } from "./files.js";
import { audioPlayer } from "./player.js";
import { plot } from "./plot.js";
import { parseTable } from "./table.js";

const urls = new Map();
/** Widest picture, in its own pixels, that is drawn larger with its pixels as squares. */
const SMALL = 160;

/** What a medium is, for screen readers and captions. */
export const mediumLabel = (part) => part.name || kindLabel(part.kind);

/** A medium in a message.
 *
 * @param part of a message.
 * @param blob its bytes; null if they are gone.
 * @param openViewer shows it in full size.
 */
export function mediumView(part, blob, openViewer) {
  const figure = h("figure", { class: `medium ${part.kind}`, "data-kind": part.kind });
  if (!blob) {
    figure.append(fileCard(part, null, "its content is no longer in this browser"));
    return figure;
  }
  const content = mediumContent(part, blob, () =>
    figure.replaceChildren(fileCard(part, blob, "this browser can't show it")),
  );
  const canExpand = content.matches("img, video, .plot-box");
  if (content.matches("img")) content.addEventListener("click", () => openViewer(part));
  const tools = h(
    "div",
    { class: "medium-tools" },
    canExpand && iconButton("expand", `Show ${mediumLabel(part)} in full size`, () => openViewer(part)),
    iconButton("download", `Download ${mediumLabel(part)}`, () => download(blob, part.name || part.kind)),
  );
  figure.append(content, tools);
  return figure;
}

/** The element that shows or plays a medium; `onFail` is called where the browser can't. */
export function mediumContent(part, blob, onFail) {
  const label = mediumLabel(part);
  const type = part.mime.split("/")[0];
  const url = urlOf(part, blob);
  if (type === "image") {
    const image = h("img", { src: url, alt: label, onerror: onFail, draggable: "false" });
    image.addEventListener("load", () => image.classList.toggle("pixels", image.naturalWidth <= SMALL));
    return image;
  }
  if (type === "video") return video(url, label, onFail);
  if (type === "audio") return audioPlayer(url, blob, label);
  if (part.mime === "text/csv") return tableView(part, blob, label, onFail);
  return fileCard(part, blob);
}

/** A medium's URL within this page, one for all places where it is shown. */
function urlOf(part, blob) {
  if (!urls.has(part.blob)) urls.set(part.blob, URL.createObjectURL(new Blob([blob], { type: part.mime })));
  return urls.get(part.blob);
}

function video(url, label, onFail) {
  const element = h("video", {
    src: url,
    controls: true,
    playsinline: true,
    preload: "metadata",
    "aria-label": label,
    onerror: onFail,
  });
  element.loop = true;
  element.addEventListener("loadedmetadata", () => {
    element.classList.toggle("pixels", element.videoWidth <= SMALL);
    if (Number.isFinite(element.duration)) return;
    // A recording has no duration in its header; the browser learns it by looking at the end.
    element.addEventListener(
      "durationchange",
      () => {
        element.currentTime = 0;
      },
      { once: true },
    );
    element.currentTime = 1e7;
  });
  return element;
}

function tableView(part, blob, label, onFail) {
  const box = h("div", { class: "plot-box" });
  blob.text().then((text) => {
    const table = parseTable(text);
    if (table) box.replaceWith(plotOf(table, label));
    else onFail();
  }, onFail);
  return box;
}

function plotOf(table, label) {
  const long = table.times.at(-1) - table.times[0];
  return plot(
    table,
    `Plot of ${label}: ${table.groups.map((group) => group.label).join(" and ")} over ${long.toPrecision(3)} ${table.label}`,
  );
}

/** A file by its name and size. */
export function fileCard(part, blob, note = "") {
  return h(
    "div",
    { class: "file-card" },
    icon(part.kind === "imu" ? "imu" : "file"),
    h(
      "div",
      {},
      h("strong", {}, mediumLabel(part)),
      h("span", {}, [blob && megabytes(blob.size), note].filter(Boolean).join(" · ")),
    ),
  );
}

/** The progress of a medium that is being made. */
export function progressView(part) {
  const label = `${kindLabel(part.kind)} in the making`;
  const bar = h("progress", { "aria-label": label, max: part.steps || 1 });
  if (part.steps) bar.value = part.step;
  const count = part.steps ? `step ${part.step} of ${part.steps}` : "waiting";
  return h(
    "figure",
    { class: `medium making ${part.kind}` },
    h("div", { class: "making-face", "aria-hidden": "true" }, icon(part.kind)),
    h("figcaption", {}, h("span", {}, kindLabel(part.kind)), h("span", {}, count)),
    bar,
  );
}

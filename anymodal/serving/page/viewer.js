/** Media in full size, one at a time, with those before and behind. */

import { byId, h, iconButton } from "./dom.js";
import { download } from "./files.js";
import { fileCard, mediumContent, mediumLabel } from "./media.js";

/** Show a medium of a conversation.
 *
 * @param parts media of the conversation, in order.
 * @param part the one to begin with.
 * @param readBlob gives a medium's bytes.
 */
export function openViewer(parts, part, readBlob) {
  const dialog = byId("viewer");
  let place = Math.max(0, parts.indexOf(part));
  const stage = h("div", { class: "stage" });
  const title = h("h2", {});
  const previous = iconButton("left", "Previous medium (Left)", () => move(-1));
  const next = iconButton("right", "Next medium (Right)", () => move(1));
  const save = iconButton("download", "Download", async () =>
    download(await readBlob(parts[place].blob), mediumLabel(parts[place])),
  );
  const show = async () => {
    const current = parts[place];
    const blob = await readBlob(current.blob);
    title.textContent = `${mediumLabel(current)} · ${place + 1} of ${parts.length}`;
    previous.disabled = place === 0;
    next.disabled = place === parts.length - 1;
    save.disabled = !blob;
    const fail = () => stage.replaceChildren(fileCard(current, blob));
    stage.replaceChildren(
      blob
        ? mediumContent(current, blob, fail)
        : fileCard(current, null, "its content is no longer in this browser"),
    );
  };
  const move = (by) => {
    if (!parts[place + by]) return;
    place += by;
    show();
  };
  dialog.replaceChildren(
    h(
      "div",
      { class: "viewer-head" },
      title,
      save,
      iconButton("close", "Close (Esc)", () => dialog.close()),
    ),
    h("div", { class: "viewer-body" }, previous, stage, next),
  );
  dialog.onkeydown = (event) => {
    if (event.target.matches("input, video")) return; // they move within the medium
    if (event.key === "ArrowLeft") move(-1);
    if (event.key === "ArrowRight") move(1);
  };
  dialog.onclick = (event) => {
    if (event.target === dialog || event.target === stage) dialog.close();
  };
  dialog.onclose = () => dialog.replaceChildren(); // ends what plays
  show();
  dialog.showModal();
}

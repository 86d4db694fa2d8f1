/** A conversation as one page: no script, nothing fetched, media inside. */

import { markdown } from "./markdown.js";
import { dataUrl } from "./files.js";
import { plot } from "./plot.js";
import { parseTable } from "./table.js";

const POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'";
const STYLE = `
:root { color-scheme: light dark; --ground: #f7f6f3; --ink: #211f1c; --faint: #6b665e; --mine: #e4ecfb; --edge: #dedad2;
  --surface: #fff; --x: #c8372d; --y: #2c7d4f; --z: #2f62c9; }
@media (prefers-color-scheme: dark) { :root { --ground: #171614; --ink: #ece9e3; --faint: #a09a90; --mine: #22344f; --edge: #383530;
  --surface: #211f1d; --x: #ff7d70; --y: #67c98f; --z: #86b0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 46rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 2rem; }
.who { font-size: .8rem; color: var(--faint); }
.turn { margin: 0 0 1.6rem; }
.user { display: flex; flex-direction: column; align-items: flex-end; }
.user .said { background: var(--mine); border-radius: 1.1rem; padding: .55rem .95rem; max-width: 92%; }
p { margin: .3rem 0; } .typed { white-space: pre-wrap; }
figure { margin: .5rem 0; } figure > * { display: block; max-width: 100%; border-radius: .75rem; }
img, video { width: 256px; height: auto; } .pixels { image-rendering: pixelated; }
figcaption { font-size: .8rem; color: var(--faint); }
pre { overflow-x: auto; background: var(--surface); border: 1px solid var(--edge); border-radius: .6rem; padding: .7rem; }
.code-head { display: none; } table { border-collapse: collapse; } td, th { border: 1px solid var(--edge); padding: .25rem .6rem; text-align: left; }
.plot { width: 30rem; height: auto; background: var(--surface); border: 1px solid var(--edge); }
.plot text { fill: var(--faint); font-size: 10px; } .line { fill: none; stroke-width: 1.2; } .grid { stroke: var(--edge); }
.x { stroke: var(--x); } .y { stroke: var(--y); } .z { stroke: var(--z); }
.legend { stroke: none; } .legend.x { fill: var(--x); } .legend.y { fill: var(--y); } .legend.z { fill: var(--z); }
.cursor { display: none; }
@media (max-width: 460px) { .plot text { font-size: 13px; } }`;

const escape = (text) =>
  String(text).replace(
    /[&<>"]/g,
    (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter],
  );

/** The whole page as HTML text.
 *
 * @param data an element with what opens the conversation again.
 */
export async function pageOf(title, messages, readBlob, data) {
  const turns = [];
  for (const message of messages) turns.push(await turnOf(message, readBlob));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escape(title)}</h1>
${turns.join("\n")}
${data}
</body>
</html>
`;
}

async function turnOf(message, readBlob) {
  const isUsers = message.role === "user";
  const parts = [];
  for (const part of message.parts) {
    if (part.type === "text")
      parts.push(
        isUsers
          ? `<p class="typed">${escape(part.text)}</p>`
          : markdown(part.text)
              .map((each) => each.outerHTML)
              .join(""),
      );
    if (part.type === "media") parts.push(await mediumOf(part, await readBlob(part.blob)));
  }
  if (message.error) parts.push(`<p>${escape(message.error)}</p>`);
  const who = isUsers ? "You" : (message.info.model ?? "Model");
  return `<div class="turn ${isUsers ? "user" : "model"}"><div class="who">${escape(who)}</div><div class="said">${parts.join("\n")}</div></div>`;
}

async function mediumOf(part, blob) {
  const name = escape(part.name || part.kind);
  if (!blob) return `<p>[${name}]</p>`;
  const source = `data-blob="${part.blob}" ${part.mime.match(/^(image|audio|video)\//) ? "src" : "href"}="${await dataUrl(blob, part.mime)}"`;
  const type = part.mime.split("/")[0];
  const below = `<figcaption>${name}</figcaption>`;
  if (type === "image") {
    const { width } = await createImageBitmap(blob).catch(() => ({ width: 0 }));
    return `<figure><img class="${width && width <= 160 ? "pixels" : ""}" alt="${name}" ${source}>${below}</figure>`;
  }
  if (type === "video") return `<figure><video controls loop ${source}></video>${below}</figure>`;
  if (type === "audio") return `<figure><audio controls ${source}></audio>${below}</figure>`;
  const table = part.mime === "text/csv" ? parseTable(await blob.text()) : null;
  const drawing = table ? plot(table, part.name).querySelector("svg").outerHTML : "";
  return `<figure>${drawing}<a download="${name}" ${source}>${name}</a></figure>`;
}

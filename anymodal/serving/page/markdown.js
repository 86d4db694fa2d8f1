/** Markdown as elements. No text becomes markup, and nothing is loaded: pictures are links here. */

import { copyText, h, iconButton } from "./dom.js";

const FENCE = /^ {0,3}(```+|~~~+)\s*([\w+-]*)/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ROW = /^\s*\|?.*\|.*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const INLINE = [
  [/^`+/, code],
  [
    /^!?\[((?:[^\[\]\\]|\\.)*)\]\(\s*<?((?:[^\s()<>]|\([^\s()]*\))+)>?(?:\s+"[^"]*")?\s*\)/,
    (m) => link(m[2], inline(m[1])),
  ],
  [/^(\*\*|__)(?=\S)([\s\S]*?\S)\1/, (m) => h("strong", {}, inline(m[2]))],
  [/^(\*|_)(?=\S)([\s\S]*?\S)\1(?!\w)/, (m) => h("em", {}, inline(m[2]))],
  [/^~~(?=\S)([\s\S]*?\S)~~/, (m) => h("del", {}, inline(m[1]))],
  [/^https?:\/\/[^\s<>"')\]]*[^\s<>"')\].,;:!?]/, (m) => link(m[0], [m[0]])],
  [/^\\([!-/:-@[-`{-~])/, (m) => m[1]],
];
const STARTS = /[`![*_~h\\]/g;

/** Blocks of a text: paragraphs, headings, lists, quotations, tables and code. */
export function markdown(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    if (!lines[at].trim()) {
      at++;
      continue;
    }
    const [block, next] = blockAt(lines, at);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

function blockAt(lines, at) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return codeBlock(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) return [h(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2])), at + 1];
  if (RULE.test(line)) return [h("hr"), at + 1];
  if (/^ {0,3}>/.test(line)) return quotation(lines, at);
  if (ITEM.test(line)) return list(lines, at);
  if (
    ROW.test(line) &&
    DIVIDER.test(lines[at + 1] ?? "") &&
    lines[at + 1].includes("-") &&
    line.includes("|")
  )
    return table(lines, at);
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !beginsBlock(lines[end])) end++;
  return [h("p", {}, inline(lines.slice(at, end).join("\n"))), end];
}

const beginsBlock = (line) =>
  FENCE.test(line) || HEADING.test(line) || RULE.test(line) || /^ {0,3}>/.test(line) || ITEM.test(line);

function codeBlock(lines, at, fence) {
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(fence[1])) end++;
  const text = lines.slice(at + 1, end).join("\n");
  const copy = iconButton("copy", "Copy the code", () => copyText(text));
  const head = h("div", { class: "code-head" }, h("span", {}, fence[2] || "code"), copy);
  return [h("div", { class: "code" }, head, h("pre", { tabindex: "0" }, h("code", {}, text))), end + 1];
}

function quotation(lines, at) {
  let end = at;
  while (end < lines.length && /^ {0,3}>/.test(lines[end])) end++;
  const inner = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ""));
  return [h("blockquote", {}, markdown(inner.join("\n"))), end];
}

function list(lines, at) {
  const first = ITEM.exec(lines[at]);
  const isOrdered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (item && item[1].length <= first[1].length) {
      if (/\d/.test(item[2]) !== isOrdered) break;
      items.push([item[3]]);
    } else if (lines[end].trim() && (item || /^\s{2,}/.test(lines[end]))) {
      items.at(-1).push(lines[end].replace(/^\s{1,4}/, ""));
    } else if (lines[end].trim() || !ITEM.test(lines[end + 1] ?? "")) {
      break;
    }
    end++;
  }
  const start = isOrdered ? { start: parseInt(first[2], 10) } : {};
  return [h(isOrdered ? "ol" : "ul", start, items.map(listItem)), end];
}

function listItem(lines) {
  const at = lines.findIndex((line, place) => place > 0 && beginsBlock(line));
  const [text, below] = at < 0 ? [lines, []] : [lines.slice(0, at), lines.slice(at)];
  return h("li", {}, inline(text.join("\n")), markdown(below.join("\n")));
}

function table(lines, at) {
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|")
      .map((cell) => inline(cell.trim()));
  const head = h(
    "tr",
    {},
    cells(lines[at]).map((cell) => h("th", { scope: "col" }, cell)),
  );
  const rows = [];
  let end = at + 2;
  for (; end < lines.length && lines[end].includes("|"); end++)
    rows.push(
      h(
        "tr",
        {},
        cells(lines[end]).map((cell) => h("td", {}, cell)),
      ),
    );
  return [
    h("div", { class: "table", tabindex: "0" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows))),
    end,
  ];
}

/** Texts and elements of a line or paragraph. */
function inline(text) {
  const nodes = [];
  let plain = "";
  for (let at = 0; at < text.length;) {
    const [node, length] = spanAt(text, at);
    if (!length) {
      STARTS.lastIndex = at + 1;
      const next = STARTS.exec(text)?.index ?? text.length;
      plain += text.slice(at, next);
      at = next;
      continue;
    }
    if (plain) nodes.push(plain);
    plain = "";
    nodes.push(node);
    at += length;
  }
  return plain ? [...nodes, plain] : nodes;
}

function spanAt(text, at) {
  if (text[at] === "_" && /\w/.test(text[at - 1] ?? "")) return [null, 0]; // within a name
  const behind = text.slice(at);
  for (const [pattern, build] of INLINE) {
    const match = pattern.exec(behind);
    const node = match && build(match, behind);
    if (node) return Array.isArray(node) ? node : [node, match[0].length];
  }
  return [null, 0];
}

function code(match, text) {
  const end = text.indexOf(match[0], match[0].length);
  if (end < 0) return null;
  return [h("code", {}, text.slice(match[0].length, end).replace(/\n/g, " ").trim()), end + match[0].length];
}

function link(target, content) {
  const isSafe = /^(https?:|mailto:)/i.test(target);
  return isSafe
    ? h("a", { href: target, target: "_blank", rel: "noopener noreferrer" }, content)
    : h("span", {}, content);
}

/** Plots of tables: a panel for each group, a line for each column. */

import { h, svg } from "./dom.js";

const WIDTH = 480;
const PANEL = 116;
const EDGE = { left: 52, right: 10, top: 22, bottom: 8 };
const AXES = ["x", "y", "z"];
/** Between the ends of two columns' names, at the size of letters that a phone has. */
const NAME = 54;

/** A plot with a legend, and the values under the pointer. */
export function plot(table, label) {
  const height = table.groups.length * PANEL + 16;
  const seconds = table.times.at(-1) - table.times[0] || 1;
  const cursor = svg("line", { class: "cursor", y1: EDGE.top, y2: height - 16, hidden: true });
  const panels = table.groups.flatMap((group, place) => panel(group, table.times, seconds, place * PANEL));
  const ends = [
    [EDGE.left, "start", 0],
    [WIDTH - EDGE.right, "end", seconds],
  ].map(([x, anchor, value]) =>
    svg(
      "text",
      { x, y: height - 3, "text-anchor": anchor },
      `${short(value)}${value || table.label !== "s" ? ` ${table.label}` : ""}`,
    ),
  );
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, class: "plot", role: "img", "aria-label": label },
    panels,
    ends,
    cursor,
  );
  const readout = h("p", { class: "readout", "aria-hidden": "true" }, "\u00a0");
  drawing.addEventListener("pointermove", (event) =>
    showValues(event, drawing, table, seconds, cursor, readout),
  );
  drawing.addEventListener("pointerleave", () => {
    cursor.setAttribute("hidden", "");
    readout.textContent = "\u00a0";
  });
  return h("div", { class: "plot-box" }, drawing, readout);
}

function panel(group, times, seconds, top) {
  const values = group.columns.flatMap((column) => column.values.filter(Number.isFinite));
  let [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  if (high - low < 1e-9) [low, high] = [low - 1, high + 1];
  const [y0, y1] = [top + PANEL - EDGE.bottom, top + EDGE.top];
  const y = (value) => y0 + ((value - low) / (high - low)) * (y1 - y0);
  const x = (time) => EDGE.left + ((time - times[0]) / seconds) * (WIDTH - EDGE.left - EDGE.right);
  const grid = [low, (low + high) / 2, high].flatMap((value) => [
    svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }),
    svg("text", { x: EDGE.left - 6, y: y(value) + 3.5, "text-anchor": "end" }, short(value)),
  ]);
  const lines = group.columns.map((column, place) =>
    svg("polyline", { class: `line ${AXES[place]}`, points: points(column.values, times, x, y) }),
  );
  const title = svg(
    "text",
    { x: EDGE.left, y: top + 13, class: "title" },
    group.unit ? `${group.label}, ${group.unit}` : group.label,
  );
  const legend = group.columns.map((column, place) =>
    svg(
      "text",
      {
        x: WIDTH - EDGE.right - (group.columns.length - 1 - place) * NAME,
        y: top + 13,
        "text-anchor": "end",
        class: `legend ${AXES[place]}`,
      },
      column.name.slice(0, 7),
    ),
  );
  return [...grid, ...lines, title, ...legend];
}

/** Points of a line, at most two a pixel: the least and the greatest, so that no peak is lost. */
function points(values, times, x, y) {
  const size = Math.max(1, Math.floor(values.length / WIDTH));
  const picked = [];
  for (let at = 0; at < values.length; at += size) {
    const places = Array.from({ length: Math.min(size, values.length - at) }, (_, i) => at + i).filter((i) =>
      Number.isFinite(values[i]),
    );
    if (!places.length) continue;
    const least = places.reduce((a, b) => (values[b] < values[a] ? b : a));
    const greatest = places.reduce((a, b) => (values[b] > values[a] ? b : a));
    picked.push(...new Set([Math.min(least, greatest), Math.max(least, greatest)]));
  }
  return picked.map((i) => `${x(times[i]).toFixed(1)},${y(values[i]).toFixed(1)}`).join(" ");
}

function showValues(event, drawing, table, seconds, cursor, readout) {
  const box = drawing.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width) * WIDTH;
  const share = Math.min(1, Math.max(0, (at - EDGE.left) / (WIDTH - EDGE.left - EDGE.right)));
  const time = table.times[0] + share * seconds;
  let place = table.times.findIndex((each) => each >= time);
  if (place < 0) place = table.times.length - 1;
  const line = EDGE.left + share * (WIDTH - EDGE.left - EDGE.right);
  cursor.removeAttribute("hidden");
  cursor.setAttribute("x1", line);
  cursor.setAttribute("x2", line);
  const values = table.groups.flatMap((group) =>
    group.columns.map((column) => `${column.name} ${short(column.values[place])}`),
  );
  readout.textContent = `${short(table.times[place])} ${table.label}: ${values.join(", ")}`;
}

const short = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "–");

/** Tables of numbers in text, such as an IMU recording's: columns by name, in groups to plot. */

const GROUPS = [
  ["acceleration", "m/s²", /acc|^a[_ ]?[xyz]\b|^a[xyz]/i],
  ["rotation", "rad/s", /gyr|omega|ang|rot|^[gw][_ ]?[xyz]/i],
];
const TIME = /^(t|ts|time|timestamp|stamp|elapsed|seconds|sec|ms|us|ns)\b|time|elapsed|epoch/i;
const MOST_ROWS = 200_000;

/** A table of numbers: `{times, rate, groups: [{label, unit, columns: [{name, values}]}]}`.
 *
 * @returns null for a text that has no columns to plot.
 */
export function parseTable(text) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  const notes = lines.filter((line) => line.startsWith("#"));
  const rows = lines.filter((line) => !line.startsWith("#")).slice(0, MOST_ROWS);
  if (rows.length < 2) return null;
  const mark = [",", ";", "\t", /\s+/].find((each) => rows[1].trim().split(each).length > 2);
  if (!mark) return null;
  const split = (line) =>
    line
      .trim()
      .split(mark)
      .map((cell) => cell.trim().replace(/^"|"$/g, ""));
  const hasHeader = split(rows[0]).some((cell) => cell && Number.isNaN(Number(cell)));
  const names = hasHeader ? split(rows[0]) : split(rows[0]).map((_, place) => `column ${place + 1}`);
  const values = rows
    .slice(hasHeader ? 1 : 0)
    .map((line) => split(line).map((cell) => (cell ? Number(cell) : NaN)));
  const columns = names.map((name, place) => ({ name, values: values.map((row) => row[place] ?? NaN) }));
  const numeric = columns.filter((each) => each.values.some(Number.isFinite));
  const clock = numeric.find((each) => TIME.test(each.name)) ?? null;
  const measures = numeric.filter((each) => each !== clock);
  const groups = groupColumns(measures);
  return groups.length ? { ...timesOf(clock, notes, values.length), groups } : null;
}

function groupColumns(columns) {
  const groups = GROUPS.map(([label, unit, pattern]) => ({
    label,
    unit,
    columns: columns.filter((each) => pattern.test(each.name)).slice(0, 3),
  })).filter((group) => group.columns.length);
  if (groups.length || !columns.length) return groups;
  return [
    { label: "values", unit: "", columns: columns.slice(0, 3) },
    { label: "values", unit: "", columns: columns.slice(3, 6) },
  ].filter((group) => group.columns.length);
}

function timesOf(clock, notes, count) {
  const noted = notes.map((line) => /rate\D*([\d.]+)/i.exec(line)?.[1]).find(Boolean);
  if (clock) {
    const [first, last] = [clock.values[0], clock.values.at(-1)];
    const unit = /_?(ns|us|ms)\b|nano|micro|milli/i.exec(clock.name)?.[0].toLowerCase() ?? "";
    const scale = /ns|nano/.test(unit)
      ? 1e-9
      : /us|micro/.test(unit)
        ? 1e-6
        : /ms|milli/.test(unit)
          ? 1e-3
          : 1;
    if (last > first) return { times: clock.values.map((value) => (value - first) * scale), label: "s" };
  }
  const rate = Number(noted) || 0;
  return {
    times: Array.from({ length: count }, (_, place) => (rate ? place / rate : place)),
    label: rate ? "s" : "samples",
  };
}

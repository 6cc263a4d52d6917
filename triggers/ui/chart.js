// Charts of runs, drawn for the available width. For screen readers, their content is in a text or in the table of runs.

import { now } from "./api.js";
import { h, iconPath, s } from "./dom.js";
import { STATUS, count, duration, ended, moment, tickLabel } from "./words.js";

const HOUR = 3600000;
const WINDOWS = [0.25, 1, 3, 6, 12, 24, 72, 168, 336, 720].map((hours) => hours * HOUR);
const STEPS = [1 / 12, 0.25, 0.5, 1, 3, 6, 12, 24, 48, 168].map((hours) => hours * HOUR);
const WANTED_RUNS = 12;
const TOP = 20;
const HEIGHT = 26;

/** When the runs of a model waited and refreshed. `runs`: ended runs, newest first; `active`: the active run or null. */
export function timeline(runs, active, width, usual) {
  const end = now();
  const all = active ? [{ ...active, endedAt: null }, ...runs] : runs;
  if (!all.length) {
    return null;
  }
  const oldest = Date.parse(all[Math.min(all.length, WANTED_RUNS) - 1].waitingSince);
  const span = WINDOWS.find((size) => end - oldest <= size) ?? WINDOWS.at(-1);
  const scale = (time) => ((time - (end - span)) / span) * width;
  const shown = all.filter((run) => (run.endedAt ? Date.parse(run.endedAt) : end) > end - span);
  return h(
    "figure",
    { class: "timeline", "data-key": "timeline" },
    s(
      "svg",
      {
        width,
        height: TOP + HEIGHT + 24,
        viewBox: `0 0 ${width} ${TOP + HEIGHT + 24}`,
        role: "img",
        "aria-label": inWords(shown, span),
      },
      pattern(),
      s("rect", { class: "track", x: 0, y: TOP, width, height: HEIGHT, rx: 4 }),
      ticks(end, span, scale, width),
      shown.map((run) => block(run, scale, end)),
    ),
    legend(shown, usual),
  );
}

/**
 * One run as a bar: the time it waited, then the time it refreshed. The line marks how long a refresh usually takes.
 * `scaleSeconds`: the seconds that fill the width, the same for all bars of a table.
 */
export function durationBar(run, usual, scaleSeconds, width = 150) {
  const waited = Math.max(0, run.waitedSeconds ?? 0);
  const took = Math.max(0, run.durationSeconds ?? 0);
  const scale = (seconds) => (scaleSeconds ? (seconds / scaleSeconds) * (width - 4) : 0);
  const mark = usual ? scale(Math.min(scaleSeconds, waited + usual)) : null;
  return s(
    "svg",
    { class: "bar-picture", width, height: 14, viewBox: `0 0 ${width} 14`, "aria-hidden": "true" },
    s("rect", { class: "run-wait", x: 0, y: 4, width: scale(waited), height: 6 }),
    s("rect", {
      class: `run-work ${tone(run.status)}`,
      x: scale(waited),
      y: 2,
      width: took ? Math.max(2, scale(took)) : 0,
      height: 10,
      rx: 2,
    }),
    mark === null ? null : s("line", { class: "usual", x1: mark, x2: mark, y1: 0, y2: 14 }),
  );
}

function tone(status) {
  return (STATUS[status] ?? [])[1] ?? "calm";
}

function block(run, scale, end) {
  const begin = scale(Date.parse(run.waitingSince));
  const over = scale(run.endedAt ? Date.parse(run.endedAt) : end);
  const start = run.startedAt ? Math.max(begin, scale(Date.parse(run.startedAt))) : over;
  const [picture] = STATUS[run.status] ?? ["unknown"];
  const middle = Math.min(Math.max((start + over) / 2, 7), scale(end) - 7);
  return s(
    "g",
    { class: "run", "data-key": `${run.runId} ${run.waitingSince}` },
    s("title", {}, describe(run)),
    start > begin
      ? s("rect", {
          class: "run-wait",
          x: Math.max(0, begin),
          y: TOP + 9,
          width: Math.max(1, start - Math.max(0, begin)),
          height: 8,
        })
      : null,
    run.startedAt
      ? s("rect", {
          class: `run-work ${tone(run.status)}`,
          x: Math.max(0, start),
          y: TOP + 3,
          width: Math.max(3, over - Math.max(0, start)),
          height: HEIGHT - 6,
          rx: 2,
        })
      : null,
    run.status === "Completed"
      ? null
      : s("path", {
          class: `mark ${tone(run.status)}`,
          d: iconPath(picture),
          transform: `translate(${middle - 7} 2) scale(.875)`,
        }),
  );
}

function describe(run) {
  const [, , word] = STATUS[run.status] ?? ["", "", run.status];
  const took = run.durationSeconds === undefined ? "" : `, took ${duration(run.durationSeconds)}`;
  const when = ended(run.status) && run.endedAt ? moment(run.endedAt) : "now";
  return `${when}: ${word}, waited ${duration(run.waitedSeconds ?? 0)}${took}`;
}

function ticks(end, span, scale, width) {
  const most = Math.max(2, Math.floor(width / 90));
  const step = STEPS.find((size) => span / size <= most) ?? STEPS.at(-1);
  const offset = new Date(end).getTimezoneOffset() * 60000;
  const first = Math.ceil((end - span - offset) / step) * step + offset;
  const days = step >= 24 * HOUR;
  const marks = [];
  for (let time = first; time <= end; time += step) {
    const x = scale(time);
    if (x > 16 && x < width - 40) {
      marks.push(s("line", { class: "tick", x1: x, x2: x, y1: TOP, y2: TOP + HEIGHT + 5 }));
      marks.push(
        s("text", { class: "tick-label", x, y: TOP + HEIGHT + 19, "text-anchor": "middle" }, tickLabel(time, days)),
      );
    }
  }
  marks.push(s("text", { class: "tick-label", x: width, y: TOP + HEIGHT + 19, "text-anchor": "end" }, "now"));
  return marks;
}

function pattern() {
  return s(
    "defs",
    {},
    s(
      "pattern",
      { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      s("line", { class: "hatch", x1: 0, x2: 0, y1: 0, y2: 6 }),
    ),
  );
}

function legend(runs, usual) {
  const words = new Map(
    runs.filter((run) => run.startedAt || ended(run.status)).map((run) => [run.status, STATUS[run.status]]),
  );
  const entries = [...words.values()]
    .filter(Boolean)
    .map(([, colour, word]) => h("li", {}, h("span", { class: `swatch ${colour}` }), word));
  return h(
    "figcaption",
    {},
    h(
      "ul",
      { class: "legend" },
      h("li", {}, h("span", { class: "swatch hatched" }), "Waited"),
      entries,
      usual
        ? h("li", {}, h("span", { class: "swatch dashed" }), `Usual: ${duration(usual)}, marked in the table`)
        : null,
    ),
  );
}

function inWords(runs, span) {
  const by = new Map();
  for (const run of runs) {
    const word = (STATUS[run.status] ?? [])[2] ?? run.status;
    by.set(word, (by.get(word) ?? 0) + 1);
  }
  const parts = [...by].map(([word, number]) => `${number} ${word.toLowerCase()}`);
  return `${count(runs.length, "run")} in the last ${duration(span / 1000)}: ${parts.join(", ")}. The table of runs has each of them.`;
}

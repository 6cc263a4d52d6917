// The common parts of several views.

import { h, icon, iconPath, isolate, s } from "./dom.js";
import { HEALTH, STATUS, advice, age, count, duration, listed, secondsSince, time, weekday } from "./words.js";

const DAYS = 14;
const CELL = 18;

/** A state as icon, colour and word. */
export function badge([picture, tone, word], detail = "") {
  return h("span", { class: `badge ${tone}` }, icon(picture), h("span", {}, word, detail));
}

export function statusBadge(status) {
  return badge(STATUS[status] ?? ["unknown", "calm", status]);
}

export function healthBadge(health) {
  return badge(HEALTH[health] ?? ["unknown", "calm", health]);
}

/** The name of a model, or its id while the app has not read it. */
export function modelName(model) {
  return model.modelName ? isolate(model.modelName, "clamp") : h("span", { class: "id" }, model.datasetId);
}

export function modelLink(model) {
  return h("a", { href: `#/models/${encodeURIComponent(model.datasetId)}`, class: "primary" }, modelName(model));
}

export function requestLink(id, ...children) {
  return h("a", { href: `#/requests/${encodeURIComponent(id)}` }, ...children);
}

export function batchLink(id, ...children) {
  return h("a", { href: `#/batches/${encodeURIComponent(id)}` }, ...children);
}

/** A workspace: a link to its models. */
export function workspaceLink(id) {
  return h("a", { href: `#/?workspaceId=${encodeURIComponent(id)}` }, h("code", {}, id));
}

/** The link from a request to its batch; null if the request is not part of a batch. */
export function partOf({ batchId }) {
  return batchId ? h("span", { class: "sub" }, batchLink(batchId, "part of a batch")) : null;
}

/** The value that names a caller (null if there is none), and the rest of its data. */
export function callerParts(caller) {
  const entries = Object.entries(caller ?? {});
  const first = entries.find(([key]) => /^(pipeline|name|job|workflow)/i.test(key)) ?? entries[0];
  return { name: first?.[1] || null, rest: entries.filter((entry) => entry !== first) };
}

/** The rest of the data of a caller, in one line. */
export function callerRest(caller) {
  const { rest } = callerParts(caller);
  return rest.length
    ? h(
        "span",
        { class: "sub" },
        rest.map(([key, value], at) => [at ? " · " : "", isolate(key), ": ", isolate(value)]),
      )
    : null;
}

export function callerName(caller) {
  const { name } = callerParts(caller);
  return name === null ? h("span", { class: "muted" }, "unnamed caller") : isolate(name, "clamp");
}

/** An action, handled by app.js: `data` becomes data attributes. */
export function button(action, label, data = {}, kind = "") {
  const attributes = Object.fromEntries(Object.entries(data).map(([name, value]) => [`data-${name}`, value]));
  return h("button", { type: "button", class: kind || null, "data-action": action, ...attributes }, label);
}

export function section(title, ...children) {
  const id = `section-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return h("section", { "aria-labelledby": id, "data-key": id }, h("h2", { id }, title), ...children);
}

/**
 * A table that becomes cards on a phone. `columns`: [label, class]; `rows`: {key, cells}. The roles are explicit
 * because browsers drop those of a table with another layout.
 */
export function table(caption, columns, rows) {
  const head = columns.map(([label, kind]) => h("th", { role: "columnheader", scope: "col", class: kind }, label));
  return h(
    "table",
    { role: "table" },
    h("caption", { class: "hidden" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    h(
      "tbody",
      { role: "rowgroup" },
      rows.map(({ key, cells }) => row(columns, key, cells)),
    ),
  );
}

/** A table of the first rows; the user can open the others. */
export function longTable(caption, columns, rows, limit = 12) {
  const more = rows.length - limit;
  const rest =
    more > 0
      ? h(
          "details",
          { class: "rest", "data-key": `rest-${caption}` },
          h("summary", {}, `${more} more`),
          table(`${caption}, continued`, columns, rows.slice(limit)),
        )
      : null;
  return [table(caption, columns, rows.slice(0, limit)), rest];
}

function row(columns, key, cells) {
  const shown = cells.map((cell, at) => {
    const [label, kind] = columns[at];
    const attributes = { "data-label": label, class: kind };
    return at === 0
      ? h("th", { role: "rowheader", scope: "row", ...attributes }, cell)
      : h("td", { role: "cell", ...attributes }, cell);
  });
  return h("tr", { role: "row", "data-key": key }, shown);
}

/** The last fourteen days (UTC), each as a cell with a symbol and a colour; the newest is at the right. */
export function dayStrip(days, asOf) {
  const known = new Map(days.map((day) => [day.date, day]));
  const today = Date.parse(`${asOf.slice(0, 10)}T00:00:00Z`);
  const shown = Array.from({ length: DAYS }, (_, at) => {
    const date = new Date(today - (DAYS - 1 - at) * 86400000).toISOString().slice(0, 10);
    return known.get(date) ?? { date, completed: 0, failed: 0 };
  });
  return h(
    "span",
    { class: "days" },
    s(
      "svg",
      {
        viewBox: `0 0 ${DAYS * CELL} ${CELL}`,
        width: DAYS * CELL,
        height: CELL,
        role: "img",
        "aria-label": daysInWords(shown),
      },
      shown.map((day, at) => cell(day, at * CELL)),
    ),
  );
}

function cell(day, x) {
  const [tone, picture] = !day.completed && !day.failed ? ["empty", "none"] : kindOfDay(day);
  const words = day.completed + day.failed === 0 ? "no run" : `${day.completed} completed, ${day.failed} failed`;
  return s(
    "g",
    { class: `day ${tone}`, transform: `translate(${x} 0)` },
    s("title", {}, `${weekday(day.date)}: ${words}`),
    s("rect", { x: 1, y: 1, width: CELL - 2, height: CELL - 2, rx: 3 }),
    s("path", { d: iconPath(picture), transform: "translate(3 3) scale(.75)" }),
  );
}

function kindOfDay(day) {
  if (!day.failed) {
    return ["good", "check"];
  }
  return day.completed ? ["mixed", "late"] : ["bad", "cross"];
}

function daysInWords(days) {
  const bad = days.filter((day) => day.failed);
  const good = days.filter((day) => day.completed && !day.failed).length;
  const none = days.filter((day) => !day.completed && !day.failed).length;
  const failures = bad.length ? `; with failures on ${listed(bad.map((day) => weekday(day.date)))}` : "";
  return `Last 14 days: ${count(good, "day")} without failure${failures}; ${count(none, "day")} without a run`;
}

/** How long ago the last success was. */
export function successAge(model) {
  const kind = model.health === "overdue" ? "is-late" : null;
  if (!model.lastSuccess) {
    return h("span", { class: kind ?? "muted" }, "never");
  }
  const seconds = model.lastSuccessAgeSeconds ?? secondsSince(model.lastSuccess.endedAt);
  return h(
    "time",
    { class: kind, datetime: model.lastSuccess.endedAt, title: `${model.lastSuccess.endedAt} (UTC)` },
    age(seconds),
    " ago",
  );
}

/** A progress bar with its text: `done` of `all`. */
export function bar(label, done, all, note, tone = "") {
  return h(
    "div",
    { class: `meter ${tone}`, "data-key": `bar-${label}` },
    h("span", {}, isolate(label, "clamp")),
    h("progress", { max: Math.max(1, all), value: done, "aria-label": label }),
    h("span", { class: "meter-note" }, note),
  );
}

/** The progress of an enhanced refresh: of all its objects, and of its tables. */
export function progressOf(progress) {
  if (!progress) {
    return null;
  }
  const done = progress.byStatus?.Completed ?? 0;
  return h(
    "div",
    { class: "meters" },
    bar("All objects", done, progress.objects, `${done} of ${progress.objects}`),
    (progress.tables ?? []).map((one) =>
      bar(
        one.table,
        one.completed,
        one.objects,
        `${one.completed} of ${one.objects}${one.status === "Failed" ? ", failed" : ""}`,
        one.status === "Failed" ? "bad" : "",
      ),
    ),
    progress.moreTables ? h("p", { class: "muted" }, `and ${count(progress.moreTables, "more table")}`) : null,
  );
}

/** The reason why a run with an idle model waits for its capacity. */
export function placeInWords({ group, position, closedUntil }) {
  return [
    "The model is idle. Its capacity group ",
    isolate(group),
    " allows no more simultaneous refreshes; ",
    position ? `${count(position, "run")} ${position === 1 ? "is" : "are"} ahead` : "this run is next",
    closedUntil
      ? [". Power BI reports that the capacity has reached its limits; the next try is at ", time(closedUntil)]
      : null,
    ".",
  ];
}

/** How long until a refresh is expected to end, or how much longer than usual it has taken, in words. */
export function expectation(expectedEnd) {
  const remaining = -secondsSince(expectedEnd);
  return remaining >= 0 ? `expected to end in ${duration(remaining)}` : `${duration(-remaining)} longer than usual`;
}

/** An error and what to do about it. */
export function problem(title, error, ...more) {
  const hint = advice(error);
  // the advice is shown separately; the message of an outcome ends with it
  const message = hint ? (error.message ?? "").replace(hint, "").replace(/\s+/g, " ").trim() : error.message;
  return h(
    "div",
    { class: "problem" },
    h(
      "p",
      { class: "problem-title" },
      icon("cross"),
      h("strong", {}, title),
      error.code ? h("code", {}, error.code) : null,
    ),
    message ? h("p", {}, isolate(message)) : null,
    hint ? h("p", { class: "advice" }, h("strong", {}, "What to do: "), isolate(hint)) : null,
    ...more,
  );
}

/** A list of names with their values. Entries without a value are left out. */
export function facts(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h(
    "dl",
    { class: "facts" },
    shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

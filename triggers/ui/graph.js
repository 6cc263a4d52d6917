// The picture of a batch: its models as boxes with their states, and lines from each dependency to its dependents.

import { h, icon, isolate, s } from "./dom.js";
import { arrange } from "./layers.js";
import { IN_BATCH, count, duration, elapsed, ended } from "./words.js";

const COMPACT = 60;
const ARROW = 7;

/** The picture. `models`: at least one, in the form of the API. */
export function graph(models) {
  const { layers, loose, lines, undrawn, width, height } = arrange(models);
  const box = (number) => node(models[number]);
  return h(
    "figure",
    { class: "graph", "data-key": "graph" },
    layers.length
      ? h(
          "div",
          { class: "graph-scroll", role: "group", tabindex: "0", "aria-label": "Models by their dependencies" },
          h(
            "div",
            { class: "graph-area" },
            edges(models, lines, width, height),
            h(
              "div",
              { class: "layers" },
              layers.map((columns, at) => layer(columns, at, box)),
            ),
          ),
        )
      : null,
    layers.length && loose.length ? h("h3", {}, `Without dependencies: ${count(loose.length, "model")}`) : null,
    loose.length
      ? h(
          "ul",
          { class: loose.length > COMPACT ? "loose compact" : "loose", "aria-label": "Models without dependencies" },
          loose.map(box),
        )
      : null,
    h("figcaption", {}, layers.length ? reading(undrawn) : "No model of this batch depends on another model."),
  );
}

function reading(undrawn) {
  const rest = undrawn ? ` ${count(undrawn, "dependency", "dependencies")} without a line: see the list.` : "";
  return `A line leads from a model to each model that depends on it, from left to right.${rest}`;
}

function layer(columns, at, box) {
  const label = at ? `Step ${at + 1}` : "Step 1, without dependencies of their own";
  return h(
    "div",
    { class: "layer", role: "group", "aria-label": label, "data-key": `layer-${at}` },
    columns.map((numbers) => h("ul", { class: "layer-column" }, numbers.map(box))),
  );
}

/** The box of a model. It is a link to the model's request, if there is one. */
function node(model) {
  const [picture, tone, word] = IN_BATCH[model.status] ?? ["unknown", "calm", model.status];
  const attributes = { class: `node ${tone} ${model.status === "Skipped" ? "skipped" : ""}`.trim() };
  const content = [
    h("span", { class: "node-name" }, isolate(model.name)),
    h("span", { class: "node-state" }, icon(picture), h("span", {}, word, took(model))),
  ];
  return h(
    "li",
    { "data-key": model.name },
    model.requestId
      ? h("a", { ...attributes, href: `#/requests/${encodeURIComponent(model.requestId)}` }, content)
      : h("span", attributes, content),
  );
}

/** The text after the state: `, 12 min` since the start of the request, or ` earlier` for a model of an earlier batch. */
function took(model) {
  if (model.earlier) {
    return " earlier";
  }
  const seconds = elapsed(model);
  return seconds === null ? "" : `, ${duration(seconds)}`;
}

/** The lines in three groups, each drawn as one path: a batch can have thousands of dependencies. */
function edges(models, lines, width, height) {
  const groups = { open: [], done: [], blocked: [] };
  for (const line of lines) {
    groups[kind(models[line.from].status)].push(line);
  }
  return s(
    "svg",
    { class: "edges", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    Object.entries(groups)
      .filter(([, group]) => group.length)
      .map(([name, group]) => [
        s("path", { class: `edge ${name}`, d: group.map(({ path }) => path).join("") }),
        s("path", { class: `arrow ${name}`, d: [...new Set(group.map(arrow))].join("") }),
      ]),
  );
}

function kind(status) {
  if (status === "Completed") {
    return "done";
  }
  return status === "Skipped" || ended(status) ? "blocked" : "open";
}

function arrow({ x, y }) {
  return `M${x} ${y}l${-ARROW} ${-ARROW / 2}v${ARROW}z`;
}

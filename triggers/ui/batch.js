// One batch: its status or outcome, its models as a graph, and a list of the models with the reasons of failures.

import { now, read } from "./api.js";
import { h, isolate } from "./dom.js";
import { graph } from "./graph.js";
import {
  badge,
  batchLink,
  button,
  callerParts,
  callerRest,
  facts,
  longTable,
  problem,
  requestLink,
  section,
  workspaceLink,
} from "./parts.js";
import { IN_BATCH, count, duration, elapsed, ended, listed, secondsBetween, time } from "./words.js";

const ROWS = 50;
const NAMES = 4;
const SHORT = 300;
const COLUMNS = [
  ["Model", "wide"],
  ["State", ""],
  ["Depends on", ""],
  ["Request took", "number"],
  ["Reason", "full reason"],
];
const ORDER = ["Failed", "TimedOut", "OutcomeUnknown", "Terminated", "Cancelled", "Skipped", "Started", "Waiting"];

export const title = ({ caller }) => {
  const { name } = callerParts(caller);
  return name === null ? "Batch" : `Batch of ${name}`;
};

export function load({ id }, signal) {
  return read(`batches/${encodeURIComponent(id)}/status`, {}, signal);
}

/** The changes since the last update, for screen readers. */
export function news(before, data) {
  const key = ({ status, counts }) => JSON.stringify([status, counts]);
  return key(before) === key(data) ? "" : `${title(data)}: ${word(data.status)}. ${numbers(data.counts)}`;
}

/** An ended batch does not change any more, so it is not read again. */
export function seconds({ status }) {
  return ended(status) ? null : 5;
}

export function render(batch) {
  const over = ended(batch.status);
  const { name } = callerParts(batch.caller);
  const data = { batch: batch.id, name: name ?? "an unnamed caller" };
  return h(
    "div",
    { class: "view batch" },
    h("p", { class: "path" }, h("a", { href: "#/requests" }, "Requests"), " / Batch"),
    h("h1", { tabindex: "-1" }, name === null ? "Batch" : ["Batch of ", isolate(name)]),
    h("p", { class: "lead" }, stateOf(batch.status), " ", inWords(batch)),
    over ? null : h("p", { class: "actions" }, button("cancelBatch", "Cancel …", data)),
    times(batch, over),
    batch.error ? problem("Why it did not complete", batch.error) : null,
    notes(batch),
    batch.models.length ? section("Models and their dependencies", graph(batch.models)) : null,
    batch.models.length ? section("All models", list(batch.models)) : null,
    h(
      "p",
      { class: "ids" },
      "Batch ",
      h("code", {}, batch.id),
      batch.workspaceId ? [", all models of workspace ", workspaceLink(batch.workspaceId)] : null,
      callerRest(batch.caller),
    ),
  );
}

function word(status) {
  return (IN_BATCH[status] ?? ["", "", status])[2];
}

function stateOf(status) {
  return badge(IN_BATCH[status] ?? ["unknown", "calm", status]);
}

function inWords({ status, counts }) {
  return status === "Listing" ? "The app reads the models of the workspace." : numbers(counts);
}

/** How many models are in each state, in one sentence. */
function numbers({ models, completed, started, waiting, failed, skipped }) {
  if (!models) {
    return "It has no models.";
  }
  const are = (number) => (number === 1 ? "is" : "are");
  const parts = [
    [started, `${started} ${are(started)} in progress`],
    [waiting, `${waiting} ${waiting === 1 ? "waits" : "wait"}`],
    [failed, `${failed} did not complete`],
    [skipped, `${skipped} ${skipped === 1 ? "was" : "were"} skipped`],
  ].flatMap(([number, text]) => (number ? [text] : []));
  return `${listed([`${completed} of ${count(models, "model")} completed`, ...parts])}.`;
}

function times({ requestedAt, endedAt, deadline }, over) {
  const end = endedAt ?? new Date(now()).toISOString();
  return facts([
    ["Accepted", time(requestedAt, true)],
    ["Ended", endedAt ? time(endedAt, true) : null],
    [over ? "Took" : "In progress for", over && !endedAt ? null : duration(secondsBetween(requestedAt, end))],
    ["Deadline", over ? null : time(deadline)],
  ]);
}

function notes({ retryOf, lastReadError, exceptNotFound }) {
  return [
    retryOf
      ? h(
          "p",
          {},
          "A retry of the batch ",
          batchLink(retryOf, h("code", {}, retryOf)),
          ": the models that completed there are not refreshed again.",
        )
      : null,
    lastReadError ? h("p", { class: "muted" }, "The last call failed: ", isolate(lastReadError)) : null,
    exceptNotFound
      ? h(
          "p",
          { class: "muted" },
          "Entries of ",
          h("code", {}, "except"),
          " that match no model: ",
          names(exceptNotFound),
        )
      : null,
  ];
}

/** All models; those that did not complete come first. */
function list(models) {
  const rank = ({ status }) => (ORDER.includes(status) ? ORDER.indexOf(status) : ORDER.length);
  const rows = models
    .map((model) => ({ key: model.name, model }))
    .sort((one, other) => rank(one.model) - rank(other.model))
    .map(({ key, model }) => ({ key, cells: cells(model) }));
  return longTable("All models of the batch, those that did not complete first", COLUMNS, rows, ROWS);
}

function cells(model) {
  const { name, status, datasetId, dependsOn, requestId, earlier } = model;
  return [
    [
      requestId ? requestLink(requestId, isolate(name)) : isolate(name),
      h("a", { class: "sub", href: `#/models/${encodeURIComponent(datasetId)}` }, "History of the model"),
    ],
    [stateOf(status), earlier ? h("span", { class: "sub" }, "in the earlier batch") : null],
    dependsOn ? names(dependsOn) : h("span", { class: "muted" }, "none"),
    took(model),
    reason(model),
  ];
}

function took(model) {
  const seconds = elapsed(model);
  if (seconds === null) {
    return "";
  }
  return model.endedAt ? duration(seconds) : h("span", { class: "muted" }, `${duration(seconds)} so far`);
}

/** The first names of a list; the user can open the others. */
function names(all) {
  const one = (name, at) => [at ? ", " : "", isolate(name)];
  const rest = all.slice(NAMES);
  return [
    all.slice(0, NAMES).map(one),
    rest.length ? h("details", {}, h("summary", {}, `${rest.length} more`), rest.map(one)) : null,
  ];
}

function reason({ reason: why, error }) {
  if (why) {
    return isolate(why);
  }
  if (!error) {
    return "";
  }
  const { code, message } = error;
  return [
    h("code", {}, code),
    message.length > SHORT
      ? h("details", {}, h("summary", {}, "Message"), isolate(message))
      : h("span", { class: "sub" }, isolate(message)),
  ];
}

// One model: the reason for its state, its waiting and running requests, its last runs, and its last outcome unless it is
// a success.

import { read } from "./api.js";
import { durationBar, timeline } from "./chart.js";
import { h, isolate } from "./dom.js";
import {
  badge,
  button,
  callerName,
  facts,
  healthBadge,
  longTable,
  modelName,
  partOf,
  problem,
  requestLink,
  section,
  statusBadge,
  successAge,
  workspaceLink,
} from "./parts.js";
import { atWork } from "./queue.js";
import { HEALTH, SERVED, STATUS, duration, ended, secondsSince, time } from "./words.js";

export const title = (data) => data.model.modelName ?? data.model.datasetId;

export async function load({ id }, signal) {
  const path = encodeURIComponent(id);
  const [model, queue] = await Promise.all([read(`models/${path}`, {}, signal), read(`queues/${path}`, {}, signal)]);
  return { model, queue };
}

export function news(before, data) {
  const key = ({ model }) => [model.health, model.activity, model.active?.status, model.lastOutcome?.at].join();
  return key(before) === key(data) ? "" : `${title(data)}: ${data.model.summary}`;
}

export function seconds({ model }) {
  return model.activity === "idle" ? 10 : 3;
}

export function render({ model, queue }, { width }) {
  return h(
    "div",
    { class: "view model" },
    h(
      "p",
      { class: "path" },
      h("a", { href: "#/" }, "Models"),
      model.workspaceName ? [" / ", isolate(model.workspaceName)] : null,
    ),
    h("h1", { tabindex: "-1" }, modelName(model)),
    h(
      "p",
      { class: `lead ${HEALTH[model.health]?.[1] ?? ""}` },
      healthBadge(model.health),
      " ",
      isolate(model.summary),
    ),
    actions(model),
    numbers(model),
    model.lastOutcome && model.lastOutcome.status !== "Completed" ? lastOutcome(model) : null,
    atWork(queue),
    runs(model, queue, width),
    requests(model),
    h(
      "p",
      { class: "ids" },
      "Model ",
      h("code", {}, model.datasetId),
      model.workspaceId ? [" in workspace ", workspaceLink(model.workspaceId)] : null,
    ),
  );
}

/** The actions for a model. A model without a workspace is known only from a setting, so it has no actions. */
function actions(model) {
  if (!model.workspaceId) {
    return null;
  }
  const data = { dataset: model.datasetId, workspace: model.workspaceId, name: model.modelName ?? model.datasetId };
  return h(
    "p",
    { class: "actions" },
    button("ask", "Request a refresh", data, "strong"),
    button("check", "Check access", data),
  );
}

function numbers(model) {
  const { durations } = model;
  return facts([
    ["Last success", successAge(model)],
    [
      "Usually takes",
      durations
        ? [
            duration(durations.usualSeconds),
            h("span", { class: "sub" }, `19 of 20 within ${duration(durations.p95Seconds)}`),
          ]
        : null,
    ],
    [
      "Expected every",
      model.expectedEveryHours
        ? [
            `${model.expectedEveryHours} h`,
            model.overdueSince ? h("span", { class: "sub" }, "overdue since ", time(model.overdueSince)) : null,
          ]
        : null,
    ],
    ["Failures in a row", model.failuresInARow ? String(model.failuresInARow) : null],
  ]);
}

/** The last outcome, which is not a success. A cancelled run is not a failure either. */
function lastOutcome(model) {
  const { status, code, message, action, at } = model.lastOutcome;
  return section(
    status === "Cancelled" ? "Last outcome" : "Last failure",
    problem([(STATUS[status] ?? ["", "", status])[2], ", ", time(at)], { code, message, action }),
  );
}

const RUNS = [
  ["Ended", "wide"],
  ["Outcome", ""],
  ["Compared with usual", "full"],
  ["Waited", "number"],
  ["Took", "number"],
  ["Requests", "number"],
];

function runs(model, queue, width) {
  const { active } = queue;
  const live = active && {
    runId: active.runId,
    status: active.status,
    waitingSince: active.requests.map((one) => one.since).sort()[0] ?? active.startedAt ?? model.active?.since,
    startedAt: active.startedAt ?? undefined,
  };
  if (live) {
    live.waitedSeconds = live.startedAt
      ? secondsSince(live.waitingSince) - secondsSince(live.startedAt)
      : secondsSince(live.waitingSince);
  }
  const all = model.runs ?? [];
  const shown = live?.waitingSince ? live : null;
  if (!all.length && !shown) {
    return null;
  }
  const usual = model.durations?.usualSeconds;
  const scaleSeconds = Math.max(usual ?? 0, ...all.map((run) => (run.waitedSeconds ?? 0) + (run.durationSeconds ?? 0)));
  return section(
    "Runs",
    timeline(all, shown, width, usual),
    all.length
      ? longTable(
          "Runs of this model, the newest first",
          RUNS,
          all.map((run) => ({ key: `${run.runId} ${run.waitingSince}`, cells: runCells(run, usual, scaleSeconds) })),
        )
      : null,
  );
}

function runCells(run, usual, scaleSeconds) {
  return [
    time(run.endedAt),
    [
      statusBadge(run.status),
      run.code ? h("code", { class: "sub" }, run.code) : null,
      run.message ? h("details", {}, h("summary", {}, "Message"), isolate(run.message)) : null,
    ],
    durationBar(run, usual, scaleSeconds),
    duration(run.waitedSeconds ?? 0),
    [
      run.durationSeconds === undefined ? h("span", { class: "muted" }, "not started") : duration(run.durationSeconds),
      comparedWith(usual, run),
    ],
    String(run.requests),
  ];
}

/** How many times the usual duration a run took; null if it completed in less than 1.5 times the usual duration. */
function comparedWith(usual, run) {
  if (!usual || run.durationSeconds === undefined || run.status !== "Completed" || run.durationSeconds < 1.5 * usual) {
    return null;
  }
  return h("span", { class: "sub" }, `${(run.durationSeconds / usual).toFixed(1)} × usual`);
}

const REQUESTS = [
  ["Requested", "wide"],
  ["Caller", ""],
  ["Status", ""],
  ["Waited", "number"],
  ["Served", ""],
];

function requests(model) {
  const all = model.requests ?? [];
  const more = h(
    "p",
    {},
    h("a", { href: `#/requests?datasetId=${encodeURIComponent(model.datasetId)}` }, "All requests for this model"),
  );
  if (!all.length) {
    return null;
  }
  const rows = all.map((one) => ({
    key: one.id,
    cells: [
      requestLink(one.id, time(one.requestedAt)),
      [callerName(one.caller), partOf(one)],
      [statusBadge(one.status), one.code ? h("code", { class: "sub" }, one.code) : null],
      one.waitedSeconds === undefined ? "" : duration(one.waitedSeconds),
      [
        one.shared ? badge(["check", "calm", "shared"]) : null,
        ended(one.status) && one.servedBy && one.servedBy !== "own"
          ? h("span", { class: "sub" }, SERVED[one.servedBy] ?? one.servedBy)
          : null,
      ],
    ],
  }));
  return section("Requests", longTable("Requests for this model, the newest first", REQUESTS, rows), more);
}

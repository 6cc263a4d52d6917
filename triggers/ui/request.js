// One request: its status or outcome, its history, and the requests that share its refresh.

import { now, read } from "./api.js";
import { durationBar } from "./chart.js";
import { h, icon, isolate } from "./dom.js";
import {
  batchLink,
  button,
  callerName,
  callerParts,
  expectation,
  facts,
  modelName,
  placeInWords,
  problem,
  progressOf,
  requestLink,
  section,
  statusBadge,
  table,
} from "./parts.js";
import { SERVED, STATUS, count, duration, ended, secondsBetween, secondsSince, time } from "./words.js";

export const title = ({ request }) => `Request for ${request.modelName ?? request.datasetId}`;

export async function load({ id }, signal) {
  const request = await read(`refreshes/${encodeURIComponent(id)}/status`, {}, signal);
  const dataset = encodeURIComponent(request.datasetId);
  const [model, queue] = await Promise.all([
    readOptional(`models/${dataset}`, signal),
    ended(request.status) ? null : readOptional(`queues/${dataset}`, signal),
  ]);
  return { request, model, queue };
}

/** Additional data, such as the callers that share the refresh; null if they cannot be read. */
async function readOptional(path, signal) {
  try {
    return await read(path, {}, signal);
  } catch (problem) {
    if (signal.aborted) {
      throw problem;
    }
    return null;
  }
}

export function news(before, data) {
  return before.request.status === data.request.status ? "" : `${title(data)}: ${word(data.request.status)}`;
}

export function seconds({ request }) {
  return ended(request.status) ? 30 : 3;
}

export function render({ request, model, queue }) {
  const over = ended(request.status);
  const { name } = callerParts(request.caller);
  const data = {
    request: request.id,
    dataset: request.datasetId,
    workspace: request.workspaceId,
    name: request.modelName ?? request.datasetId,
  };
  return h(
    "div",
    { class: "view request" },
    h(
      "p",
      { class: "path" },
      h("a", { href: "#/" }, "Models"),
      " / ",
      h("a", { href: `#/models/${encodeURIComponent(request.datasetId)}` }, modelName(request)),
    ),
    h("h1", { tabindex: "-1" }, name === null ? "Request" : ["Request of ", isolate(name)]),
    h("p", { class: "lead" }, statusBadge(request.status), " ", inWords(request)),
    h(
      "p",
      { class: "actions" },
      over
        ? button("ask", "Request again", data, "strong")
        : button("cancel", "Cancel …", { ...data, name: name ?? "an unnamed caller" }),
      button("check", "Check access", data),
    ),
    request.batchId ? h("p", {}, batchLink(request.batchId, "The batch that this request is part of")) : null,
    request.error ? problem("Why it did not complete", request.error, whereItFailed(request.error)) : null,
    request.progress && !over ? section("Progress", progressOf(request.progress)) : null,
    section("What happened", picture(request, model), steps(request)),
    shared(request, model, queue),
    caller(request),
    h(
      "p",
      { class: "ids" },
      "Request ",
      h("code", {}, request.id),
      request.runId ? [", run ", h("code", {}, request.runId)] : null,
      request.refreshId ? [", refresh in Power BI ", h("code", {}, request.refreshId)] : null,
    ),
  );
}

function word(status) {
  return (STATUS[status] ?? ["", "", status])[2];
}

function inWords(request) {
  const { status, waitsFor, waitsForPlace, retry } = request;
  if (status === "Completed") {
    return `The model was refreshed ${SERVED[request.servedBy] ?? ""}.`.replace(" .", ".");
  }
  if (ended(status)) {
    return request.error?.retryable ? "Requesting it again can help." : "";
  }
  if (retry) {
    return [
      "Attempt ",
      String(retry.attempt),
      " begins at ",
      time(retry.at, true),
      " after ",
      h("code", {}, retry.after ?? "a failure"),
      ".",
    ];
  }
  if (status === "Refreshing") {
    const begun = request.startedAt ? `Running for ${duration(secondsSince(request.startedAt))}` : "";
    return [begun, request.expectedEnd ? `, ${expectation(request.expectedEnd)}` : "", "."];
  }
  if (waitsForPlace) {
    return placeInWords(waitsForPlace);
  }
  if (waitsFor) {
    const since = waitsFor.startedAt ? ` that began ${duration(secondsSince(waitsFor.startedAt))} ago` : "";
    return [
      "Waits for an external refresh",
      waitsFor.refreshType ? [" (", isolate(waitsFor.refreshType), ")"] : null,
      since,
      ".",
    ];
  }
  const { position } = request;
  return position
    ? `${count(position, "run")} ${position === 1 ? "is" : "are"} ahead of it.`
    : "It is the next in the queue.";
}

function whereItFailed(error) {
  return error.table
    ? h("p", {}, "Table ", isolate(error.table), error.partition ? [", partition ", isolate(error.partition)] : null)
    : null;
}

function picture(request, model) {
  const { requestedAt, startedAt, endedAt } = request;
  const end = endedAt ?? new Date(now()).toISOString();
  const waitedSeconds = Math.max(0, secondsBetween(requestedAt, startedAt ?? end));
  const durationSeconds = startedAt ? Math.max(0, secondsBetween(startedAt, end)) : 0;
  const usual = model?.durations?.usualSeconds;
  const scaleSeconds = Math.max(waitedSeconds + durationSeconds, usual ? waitedSeconds + usual : 0, 1);
  return h(
    "figure",
    { class: "picture" },
    durationBar({ status: request.status, waitedSeconds, durationSeconds }, usual, scaleSeconds, 320),
    h(
      "figcaption",
      {},
      `Waited ${duration(waitedSeconds)}`,
      startedAt ? `, ${endedAt ? "refreshed for" : "refreshing for"} ${duration(durationSeconds)}` : "",
      usual ? `; usually ${duration(usual)}` : "",
    ),
  );
}

function steps(request) {
  const { waitsFor } = request;
  const over = ended(request.status);
  return h(
    "ol",
    { class: "steps-taken" },
    step("good", "check", "Accepted", request.requestedAt),
    waitsFor && !over
      ? step(
          "wait",
          "pause",
          ["Waits for an external refresh", waitsFor.refreshType ? [" (", isolate(waitsFor.refreshType), ")"] : ""],
          waitsFor.startedAt,
        )
      : null,
    request.startedAt
      ? step(
          over ? "good" : "busy",
          over ? "check" : "turn",
          request.servedBy === "adopted" ? "A refresh was adopted" : "The refresh started",
          request.startedAt,
        )
      : null,
    over
      ? step(
          STATUS[request.status]?.[1] ?? "calm",
          STATUS[request.status]?.[0] ?? "unknown",
          word(request.status),
          request.endedAt,
        )
      : null,
    over || !request.expectedEnd ? null : step("calm", "clock", "Expected end", request.expectedEnd),
  );
}

function step(tone, picture, words, at) {
  return h("li", { class: tone }, icon(picture), h("span", {}, words), at ? time(at, true) : null);
}

const OTHERS = [
  ["Caller", "wide"],
  ["Requested", "number"],
  ["Status", ""],
];

function shared(request, model, queue) {
  if (!request.sharedWith) {
    return null;
  }
  const live = [queue?.active, ...(queue?.queue ?? [])].filter((run) => run && run.runId === request.runId);
  const others = [
    ...live.flatMap((run) =>
      run.requests.map(({ id, caller, since }) => ({ id, caller, requestedAt: since, status: run.status })),
    ),
    ...(model?.requests ?? []).filter((one) => one.runId && one.runId === request.runId && !live.length),
  ].filter((one) => one.id !== request.id);
  const rows = others.map((one) => ({
    key: one.id,
    cells: [requestLink(one.id, callerName(one.caller)), time(one.requestedAt), statusBadge(one.status)],
  }));
  return section(
    `Shared with ${count(request.sharedWith, "other request")}`,
    rows.length ? table("Requests that share the refresh", OTHERS, rows) : null,
    rows.length < request.sharedWith
      ? h("p", { class: "muted" }, "Not all of them are among the newest fifty requests for the model.")
      : null,
  );
}

function caller(request) {
  const entries = Object.entries(request.caller ?? {});
  return entries.length
    ? section("Details of the caller", facts(entries.map(([key, value]) => [isolate(key), isolate(value)])))
    : null;
}

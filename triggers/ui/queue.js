// The queue of a model: waiting and running requests, with their callers.

import { h, isolate } from "./dom.js";
import {
  button,
  callerName,
  callerParts,
  callerRest,
  expectation,
  partOf,
  placeInWords,
  progressOf,
  requestLink,
  section,
  statusBadge,
  table,
} from "./parts.js";
import { count, duration, secondsSince, time } from "./words.js";

/** Waiting and running requests. `queue`: the answer of the app. */
export function atWork(queue) {
  const { active } = queue;
  if (!active) {
    return section("Now", h("p", { class: "nothing" }, "No run waits or refreshes."));
  }
  return section(
    "Now",
    h(
      "div",
      { class: "card" },
      h("p", { class: "now" }, statusBadge(active.status), " ", nowInWords(active)),
      active.lastReadError
        ? h("p", { class: "muted" }, "The last call failed: ", isolate(active.lastReadError))
        : null,
      progressOf(active.progress),
      callers(active, "Callers that wait for this run"),
    ),
    queue.queue.length ? h("h3", {}, `Waiting behind it: ${count(queue.queue.length, "run")}`) : null,
    h(
      "ol",
      { class: "queue" },
      queue.queue.map((run, at) =>
        h("li", { class: "card", "data-key": run.runId }, callers(run, `Run ${at + 2} of the queue`)),
      ),
    ),
  );
}

function nowInWords(active) {
  const { waitsFor, waitsForPlace } = active;
  if (waitsForPlace && !active.refreshId) {
    return placeInWords(waitsForPlace);
  }
  if (waitsFor) {
    const since = waitsFor.startedAt ? [" that began ", duration(secondsSince(waitsFor.startedAt)), " ago"] : "";
    return [
      "Waits for an external refresh",
      waitsFor.refreshType ? [" (", isolate(waitsFor.refreshType), ")"] : null,
      since,
      ".",
    ];
  }
  if (active.refreshId) {
    const begun = active.startedAt ? `for ${duration(secondsSince(active.startedAt))}` : "";
    return [
      begun,
      active.expectedEnd ? `, ${expectation(active.expectedEnd)}` : "",
      active.adopted ? "; the app may not have started it" : "",
    ];
  }
  return "The app checks whether the model is idle, then starts the refresh.";
}

const CALLERS = [
  ["Caller", "wide"],
  ["Waiting since", "number"],
  ["Action", "end"],
];

function callers(run, caption) {
  const rows = run.requests.map((one) => ({
    key: one.id,
    cells: [
      [requestLink(one.id, callerName(one.caller)), callerRest(one.caller), partOf(one)],
      time(one.since),
      button(
        "cancel",
        "Cancel …",
        { request: one.id, name: callerParts(one.caller).name ?? "an unnamed caller" },
        "small",
      ),
    ],
  }));
  return [
    h("h3", {}, caption),
    rows.length ? table(caption, CALLERS, rows) : h("p", { class: "muted" }, "No caller waits for this run any more."),
    run.moreRequests ? h("p", { class: "muted" }, `and ${count(run.moreRequests, "more request")}`) : null,
  ];
}

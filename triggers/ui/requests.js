// The requests for all models or for one model, page by page, the newest first.

import { read } from "./api.js";
import { h, isolate } from "./dom.js";
import { callerName, modelName, partOf, requestLink, statusBadge, table } from "./parts.js";
import { STATUS, count, duration, secondsBetween, time } from "./words.js";

const COLUMNS = [
  ["Requested", "wide"],
  ["Model", ""],
  ["Caller", ""],
  ["Status", ""],
  ["Total time", "number"],
];

export const title = () => "Requests";

export async function load({ query, continuations }, signal) {
  const { datasetId, status } = query;
  const page = await read("refreshes", { datasetId, status, continuation: continuations.at(-1) }, signal);
  return { ...page, pageNumber: continuations.length };
}

export function news() {
  return "";
}

/** The first page is updated every 20 seconds, other pages every minute. */
export function seconds({ pageNumber }) {
  return pageNumber ? 60 : 20;
}

export function render(data, { query, continuations }) {
  const one = query.datasetId ? data.refreshes[0] : null;
  return h(
    "div",
    { class: "view requests" },
    h(
      "h1",
      { tabindex: "-1" },
      query.datasetId ? ["Requests for ", one ? modelName(one) : isolate(query.datasetId)] : "Requests",
    ),
    h(
      "div",
      { class: "filters", role: "search", "aria-label": "Filter the requests" },
      h("label", { for: "status" }, "Status "),
      h(
        "select",
        { id: "status", "data-param": "status" },
        [["", "all"], ...Object.entries(STATUS).map(([status, [, , word]]) => [status, word])].map(([value, label]) =>
          h("option", { value, selected: (query.status ?? "") === value }, label),
        ),
      ),
      query.datasetId
        ? h("a", { class: "chip", href: `#/models/${encodeURIComponent(query.datasetId)}` }, "To the model")
        : null,
      query.datasetId ? h("a", { class: "chip", href: "#/requests" }, "All models") : null,
    ),
    data.refreshes.length
      ? table("Requests, the newest first", COLUMNS, data.refreshes.map(row))
      : h("p", { class: "nothing" }, "No request matches these filters."),
    h(
      "p",
      { class: "more" },
      h("button", { type: "button", "data-action": "newer", disabled: continuations.length === 0 }, "Newer"),
      ` ${count(data.refreshes.length, "request")} on page ${continuations.length + 1} `,
      h(
        "button",
        {
          type: "button",
          "data-action": "older",
          "data-continuation": data.continuation,
          disabled: !data.continuation,
        },
        "Older",
      ),
    ),
  );
}

function row(one) {
  return {
    key: one.id,
    cells: [
      requestLink(one.id, time(one.requestedAt)),
      h("a", { href: `#/models/${encodeURIComponent(one.datasetId)}` }, modelName(one)),
      [callerName(one.caller), partOf(one)],
      [statusBadge(one.status), one.error?.code ? h("code", { class: "sub" }, one.error.code) : null],
      one.endedAt ? duration(secondsBetween(one.requestedAt, one.endedAt)) : h("span", { class: "muted" }, "in progress"),
    ],
  };
}

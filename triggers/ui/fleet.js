// All models with their freshness; the models that need attention come first.

import { read, root } from "./api.js";
import { h, isolate } from "./dom.js";
import { button, dayStrip, healthBadge, modelLink, statusBadge, successAge, table } from "./parts.js";
import { count, duration, listed, secondsSince } from "./words.js";

const PAGE = 100;
const MAX_PAGE = 500;
const SORTS = {
  freshness: "What needs attention",
  name: "Name",
  duration: "Usual duration",
  failures: "Failures in a row",
};
const STATES = {
  overdue: "Overdue",
  failing: "Failing",
  ok: "Fresh",
  unknown: "No outcome yet",
  active: "Active now",
};
const COLUMNS = [
  ["Model", "wide"],
  ["State", ""],
  ["Last success", "number"],
  ["Last 14 days", "full"],
  ["Usually takes", "number"],
  ["Now", ""],
];

export const title = () => "Models";

export async function load({ query }, signal) {
  const { search, state, workspaceId, sort } = query;
  const wanted = Math.max(PAGE, Number(query.show) || 0);
  const filters = { search, state, workspaceId, sort };
  const page = await read("models", { ...filters, limit: Math.min(MAX_PAGE, wanted) }, signal);
  while (page.continuation && page.models.length < wanted) {
    const next = await read("models", { ...filters, limit: MAX_PAGE, continuation: page.continuation }, signal);
    page.models.push(...next.models);
    page.continuation = next.continuation;
  }
  return page;
}

/** The changes since the last update, for screen readers. */
export function news(before, data) {
  const key = ({ counts }) => `${counts.overdue} ${counts.failing}`;
  if (before.total !== data.total) {
    return count(data.total, "model");
  }
  return key(before) === key(data) ? "" : headline(data.counts);
}

export function seconds(data) {
  return data.counts.active ? 5 : 15;
}

export function render(data, { query }) {
  const all = data.counts.overdue + data.counts.failing + data.counts.ok + data.counts.unknown;
  const filtered = query.search || query.state || query.workspaceId;
  if (!all && !filtered) {
    return empty();
  }
  return h(
    "div",
    { class: "view fleet" },
    h("h1", { tabindex: "-1" }, headline(data.counts)),
    filters(data, query, all),
    data.models.length
      ? models(data)
      : h("p", { class: "nothing" }, "No model matches these filters. ", h("a", { href: "#/" }, "Show all models")),
    data.models.length < data.total
      ? h(
          "p",
          { class: "more" },
          `${data.models.length} of ${count(data.total, "model")} `,
          h("a", { class: "button", href: link({ ...query, show: data.models.length + PAGE }) }, "Show more"),
        )
      : null,
  );
}

function headline(counts) {
  const parts = [];
  if (counts.overdue) {
    parts.push(`${counts.overdue} ${counts.overdue === 1 ? "is" : "are"} overdue`);
  }
  if (counts.failing) {
    parts.push(`${counts.failing} ${counts.failing === 1 ? "is" : "are"} failing`);
  }
  const all = counts.overdue + counts.failing + counts.ok + counts.unknown;
  if (parts.length) {
    return `Of ${count(all, "model")}, ${listed(parts)}`;
  }
  if (!all) {
    return "No model matches";
  }
  return counts.ok === all
    ? all === 1
      ? "The model is fresh"
      : `All ${all.toLocaleString("en-GB")} models are fresh`
    : "No model is overdue or failing";
}

function link(query) {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  return parameters.size ? `#/?${parameters}` : "#/";
}

function filters(data, query, all) {
  const chosen = query.state ?? "";
  const chips = Object.entries({ "": "All", ...STATES }).map(([state, label]) =>
    h(
      "li",
      {},
      h(
        "a",
        {
          href: link({ ...query, state, show: "" }),
          class: `chip ${state}`,
          "aria-current": state === chosen ? "true" : null,
        },
        label,
        h("span", { class: "chip-count" }, (state ? data.counts[state] : all).toLocaleString("en-GB")),
      ),
    ),
  );
  return h(
    "div",
    { class: "filters", role: "search", "aria-label": "Filter the models" },
    h("ul", { class: "chips" }, chips),
    h(
      "div",
      { class: "fields" },
      h("label", { class: "hidden", for: "search" }, "Search by name or id"),
      h("input", {
        id: "search",
        type: "search",
        placeholder: "Search name or id",
        maxlength: 200,
        "data-param": "search",
        value: query.search,
        autocomplete: "off",
        spellcheck: "false",
      }),
      h("label", { class: "hidden", for: "sort" }, "Sort by"),
      h(
        "select",
        { id: "sort", "data-param": "sort" },
        Object.entries(SORTS).map(([value, label]) =>
          h("option", { value, selected: (query.sort ?? "freshness") === value }, label),
        ),
      ),
      query.workspaceId
        ? h(
            "a",
            { class: "chip", href: link({ ...query, workspaceId: "" }) },
            "Only one workspace",
            h("span", { "aria-hidden": "true" }, " ×"),
            h("span", { class: "hidden" }, ": show all"),
          )
        : null,
    ),
  );
}

function models(data) {
  return table(
    "Semantic models",
    COLUMNS,
    data.models.map((model) => ({ key: model.datasetId, cells: cells(model, data.asOf) })),
  );
}

function cells(model, asOf) {
  return [
    [modelLink(model), model.workspaceName ? h("span", { class: "sub" }, isolate(model.workspaceName)) : null],
    [healthBadge(model.health), note(model)],
    successAge(model),
    dayStrip(model.days ?? [], asOf),
    model.durations ? duration(model.durations.usualSeconds) : h("span", { class: "muted" }, "not known"),
    atWork(model),
  ];
}

function note(model) {
  if (model.health === "overdue" && model.expectedEveryHours) {
    return h("span", { class: "sub" }, `expected every ${model.expectedEveryHours} h`);
  }
  if (model.failuresInARow > 1) {
    return h("span", { class: "sub" }, `${model.failuresInARow} times in a row`);
  }
  return null;
}

function atWork(model) {
  if (!model.active) {
    return h("span", { class: "muted" }, "idle");
  }
  const { status, since, requests } = model.active;
  return [
    statusBadge(status),
    h("span", { class: "sub" }, `${duration(secondsSince(since))}, ${count(requests, "request")}`),
  ];
}

function empty() {
  const body = '{"workspaceId": "GUID", "datasetId": "GUID"}';
  const command = `curl -X POST "${root()}refreshes" \\\n  -H "Content-Type: application/json" \\\n  -H "x-functions-key: KEY" \\\n  -d '${body}'`;
  return h(
    "div",
    { class: "view welcome" },
    h("h1", { tabindex: "-1" }, "No model has been refreshed yet"),
    h(
      "p",
      { class: "lead" },
      "A model appears here with the first request for it. A request is one HTTP call, from a pipeline or from a terminal:",
    ),
    h("pre", { tabindex: "0", "aria-label": "The first request" }, h("code", {}, command)),
    h(
      "ol",
      { class: "steps" },
      h(
        "li",
        {},
        "The workspace id and the model id are in the address of the model in Power BI: ",
        h("code", {}, "groups/…/datasets/…"),
      ),
      h(
        "li",
        {},
        "If the app has a sign-in, send a token instead of the key: ",
        h("code", {}, "Authorization: Bearer TOKEN"),
      ),
      h(
        "li",
        {},
        "The answer has a ",
        h("code", {}, "statusUri"),
        ": 202 in progress, 200 for success, 424 for every other outcome.",
      ),
    ),
    h("p", { class: "actions" }, button("first", "Make the first request here", {}, "strong")),
    h("p", { class: "muted" }, "The model appears on this page soon after the app has accepted the request, usually within half a minute."),
  );
}

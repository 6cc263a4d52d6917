// The actions of users. Each asks for confirmation in a dialog, calls the app, and shows its answer in the same dialog.

import { send } from "./api.js";
import { h, isolate } from "./dom.js";
import { problem, requestLink, statusBadge } from "./parts.js";
import { duration, failureTitle, secondsSince, time } from "./words.js";

const GUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";

/** Opens the dialog of an action. `data`: the data of its button. `done`: called when the app has done the action. */
export function begin(action, data, done) {
  const question = QUESTIONS[action];
  if (question) {
    ask(question(data), done);
  }
}

/** For each action: its question, the label of its button, and `act`, which calls the app and returns its answer. */
const QUESTIONS = {
  cancel: ({ request, name }) => cancellation("request", name, `refreshes/${encodeURIComponent(request)}/cancel`),
  cancelBatch: ({ batch, name }) =>
    cancellation(
      "batch",
      name,
      `batches/${encodeURIComponent(batch)}/cancel`,
      "Its requests in progress are cancelled, and no further model is started. ",
    ),
  ask: ({ dataset, workspace, name }) => ({
    title: "Request a refresh?",
    body: [
      h(
        "p",
        {},
        "The app waits until ",
        isolate(name),
        " is idle, refreshes the whole model, and follows the refresh until it ends.",
      ),
      kindOfRefresh(),
    ],
    confirm: "Send the request",
    act: (form) => started({ workspaceId: workspace, datasetId: dataset }, form),
  }),
  first: () => ({
    title: "Request a refresh",
    body: [
      h("p", {}, "Both ids are in the address of the model in Power BI: ", h("code", {}, "groups/…/datasets/…")),
      field("workspaceId", "Workspace id"),
      field("datasetId", "Model id"),
      kindOfRefresh(),
    ],
    confirm: "Send the request",
    act: (form) =>
      started({ workspaceId: form.get("workspaceId").trim(), datasetId: form.get("datasetId").trim() }, form),
  }),
  check: ({ dataset, workspace, name }) => ({
    title: "Check access?",
    body: [
      h(
        "p",
        {},
        "The app requests a token from Microsoft Entra and reads the refresh history of ",
        isolate(name),
        " from Power BI. This starts nothing and takes at most about 20 seconds.",
      ),
    ],
    confirm: "Check",
    act: async () => checked((await send("check", { workspaceId: workspace, datasetId: dataset })).body),
  }),
};

/** The question before a cancellation. `what`: request or batch; `route`: cancels it; `effect`: what else happens. */
function cancellation(what, name, route, effect = "") {
  return {
    title: `Cancel this ${what}?`,
    body: [
      h("p", {}, `The ${what} of `, isolate(name), " ends as cancelled, and its caller gets that outcome."),
      h(
        "p",
        {},
        `${effect}A refresh that has started continues if other requests share it, or if it is a standard refresh, which Power BI does not cancel.`,
      ),
    ],
    confirm: `Cancel the ${what}`,
    refuse: "Leave it",
    act: async () => cancelled(what, await send(route)),
  };
}

function field(name, label) {
  return h(
    "p",
    { class: "field" },
    h("label", { for: `field-${name}` }, label),
    h("input", {
      id: `field-${name}`,
      name,
      required: true,
      pattern: GUID,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "00000000-0000-0000-0000-000000000000",
    }),
  );
}

function kindOfRefresh() {
  const choice = (value, label, note, checked) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name: "kind", value, checked }),
      h("span", {}, label, h("span", { class: "sub" }, note)),
    );
  return h(
    "fieldset",
    {},
    h("legend", {}, "Kind of refresh"),
    choice("standard", "Standard", "works on every capacity", true),
    choice("enhanced", "Enhanced", "shows its progress and can be cancelled; needs Premium, Embedded or Fabric", false),
  );
}

async function started(model, form) {
  const refresh = form.get("kind") === "enhanced" ? { refresh: { type: "full" } } : {};
  // the idempotency key of this dialog: a repeated call starts nothing and gets the answer of the first call
  const { body } = await send("refreshes", {
    ...model,
    ...refresh,
    idempotencyKey: `page-${form.get("once")}`,
    caller: { name: "Status page" },
  });
  return [
    h("p", {}, "The app accepted the request. ", statusBadge(body.status)),
    h("p", {}, requestLink(body.id, "Follow the request")),
  ];
}

function cancelled(what, { status, body }) {
  if (status === 200) {
    return [h("p", {}, `The ${what} had already ended. `, statusBadge(body.status))];
  }
  return [h("p", {}, `The app is cancelling the ${what}. That takes effect within seconds.`)];
}

function checked(body) {
  const { lastRefresh, running } = body;
  return [
    body.ok
      ? h("p", { class: "badge good" }, "The app can reach the model: it got a token and read the refresh history.")
      : problem("A refresh would fail", body.error ?? {}),
    running
      ? h(
          "p",
          {},
          running.startedAt
            ? ["A refresh has been running for ", duration(secondsSince(running.startedAt))]
            : "A refresh is running",
          ".",
        )
      : null,
    lastRefresh?.status
      ? h(
          "p",
          {},
          "The newest refresh in Power BI: ",
          isolate(lastRefresh.status),
          lastRefresh.endedAt ? [", ended ", time(lastRefresh.endedAt)] : null,
          ".",
        )
      : null,
    body.ok
      ? h(
          "p",
          { class: "muted" },
          "Only an actual refresh shows whether the app may start one and whether its data sources can be read.",
        )
      : null,
  ];
}

function ask({ title, body, confirm, refuse = "Back", act }, done) {
  const once = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  const go = h("button", { class: "strong" }, confirm);
  const back = h("button", { type: "button", class: "quiet" }, refuse);
  const result = h("div", { class: "result", role: "status", tabindex: "-1" });
  const form = h(
    "form",
    {},
    h("input", { type: "hidden", name: "once", value: once }),
    body,
    h("p", { class: "actions" }, go, back),
  );
  const heading = h("h2", { id: "question" }, title);
  const dialog = h("dialog", { "aria-labelledby": "question" }, heading, form, result);
  let answered = false;
  back.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    // the browser must not submit the form itself
    event.preventDefault();
    if (go.disabled) {
      return;
    }
    go.disabled = true;
    result.replaceChildren(h("p", { class: "muted" }, "Waiting for the answer …"));
    let content;
    try {
      content = await act(new FormData(form));
      answered = true;
      form.hidden = true;
      heading.textContent = "Answer of the app";
    } catch (error) {
      content = [problem(failureTitle(error, "The app refused"), error)];
      go.disabled = false;
    }
    const close = h("button", { type: "button" }, "Close");
    close.addEventListener("click", () => dialog.close());
    result.replaceChildren(
      ...[content, answered ? h("p", { class: "actions" }, close) : null].flat(Infinity).filter(Boolean),
    );
    result.focus();
    if (answered) {
      done();
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("a")) {
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

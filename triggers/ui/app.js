// The page: its current view and its updates. The view and its filters are in the URL, after #.

import { accessForm, leaveAction, resume } from "./access.js";
import { begin } from "./actions.js";
import * as batch from "./batch.js";
import { h, patch } from "./dom.js";
import * as fleet from "./fleet.js";
import { Live } from "./live.js";
import * as model from "./model.js";
import { problem } from "./parts.js";
import * as request from "./request.js";
import * as requests from "./requests.js";
import { clock, failureTitle } from "./words.js";

const VIEWS = { batch, fleet, model, request, requests };
const NAME = "Model refreshes";
const TYPING = 250;

const main = document.getElementById("main");
const trouble = document.getElementById("trouble");
const updated = document.getElementById("updated");
const announcer = document.getElementById("news");
const leave = document.getElementById("leave");

/** The state of the page: the address, its live updates, and its data (null until they arrive). */
let current = { address: null, live: null, data: null };
let typing;

/** The address that a URL names: view, id, query, and the continuations of the pages up to the current one. */
function addressOf(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split("?");
  const [, section, id] = path.split("/");
  const query = Object.fromEntries(new URLSearchParams(search));
  const viewOf = {
    batches: id ? "batch" : "requests",
    models: id ? "model" : "fleet",
    requests: id ? "request" : "requests",
  };
  let name = "";
  try {
    name = decodeURIComponent(id ?? "");
  } catch {
    // not an id of the app: the app will answer that it is unknown
    name = id;
  }
  return { view: viewOf[section] ?? "fleet", id: name, query, continuations: [] };
}

function route() {
  if (location.hash && !location.hash.startsWith("#/")) {
    return;
  }
  go(addressOf(location.hash));
}

/** Shows an address. If only filters change, the view is updated and keeps the focus; another view gets the focus. */
function go(address) {
  const before = current.address;
  const moved = !before || before.view !== address.view || before.id !== address.id;
  current.live?.stop();
  trouble.replaceChildren();
  current = { address, live: null, data: moved ? null : current.data, focus: moved && before !== null };
  main.setAttribute("aria-busy", "true");
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const section = { batch: "requests", model: "fleet", request: "requests" }[address.view] ?? address.view;
    if (link.dataset.view === section) {
      link.setAttribute("aria-current", section === address.view ? "page" : "true");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  const view = VIEWS[address.view];
  current.live = new Live((signal) => view.load(address, signal), show, fail);
}

function show(data) {
  const { address, data: before } = current;
  const view = VIEWS[address.view];
  const news = before ? view.news(before, data) : "";
  current.data = data;
  draw();
  document.title = `${view.title(data)} · ${NAME}`;
  trouble.replaceChildren();
  updated.textContent = `Updated ${clock()}`;
  if (news) {
    announcer.textContent = news;
  }
  settle();
  return view.seconds(data);
}

function draw() {
  const view = VIEWS[current.address.view];
  const fresh = h(
    "div",
    { id: "content" },
    view.render(current.data, { ...current.address, width: Math.max(280, main.clientWidth) }),
  );
  const old = document.getElementById("content");
  if (old) {
    patch(old, fresh);
  } else {
    main.replaceChildren(fresh);
  }
  for (const field of main.querySelectorAll("[data-param]")) {
    // text is not overwritten while the user types
    if (field !== document.activeElement) {
      field.value =
        current.address.query[field.dataset.param] ?? (field.tagName === "SELECT" ? field.options[0].value : "");
    }
  }
}

/** Called when the data of a view have arrived: sets the focus if the address changed; shows the button to leave. */
function settle() {
  main.removeAttribute("aria-busy");
  if (current.focus) {
    current.focus = false;
    scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
  const action = leaveAction();
  leave.hidden = !action;
  leave.textContent = action?.label ?? "";
}

function fail(error, seconds) {
  if (error.status === undefined) {
    // a bug in this page, not an answer of the app
    console.error(error);
  }
  const again = () => current.live.again();
  if (error.status === 401) {
    current.data = null;
    document.title = NAME;
    main.replaceChildren(h("div", { id: "content" }, accessForm(error, again)));
    settle();
    return;
  }
  const retry = h("button", { type: "button", "data-action": "again" }, "Try now");
  const plan = seconds === null ? null : h("p", { class: "muted" }, `The page tries again in ${seconds} s.`);
  if (current.data) {
    trouble.replaceChildren(problem("Not up to date", error, plan, h("p", { class: "actions" }, retry)));
    main.removeAttribute("aria-busy");
    return;
  }
  document.title = NAME;
  const heading = error.status === 404 ? "The app does not know this" : "The app cannot show this now";
  main.replaceChildren(
    h(
      "div",
      { id: "content" },
      h(
        "div",
        { class: "view" },
        h("h1", { tabindex: "-1" }, heading),
        problem(failureTitle(error, "Answer of the app"), error, plan),
        h("p", { class: "actions" }, retry, h("a", { class: "button", href: "#/" }, "All models")),
      ),
    ),
  );
  settle();
}

function changeQuery(name, value) {
  const query = { ...current.address.query, [name]: value };
  const text = new URLSearchParams(Object.entries(query).filter(([, given]) => given)).toString();
  const path = location.hash.replace(/^#/, "").split("?")[0] || "/";
  history.replaceState(null, "", `#${path}${text ? `?${text}` : ""}`);
  route();
}

const PAGING = {
  older: ({ continuation }) =>
    go({ ...current.address, continuations: [...current.address.continuations, continuation] }),
  newer: () => go({ ...current.address, continuations: current.address.continuations.slice(0, -1) }),
  again: () => current.live.again(),
};

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-action]");
  if (target) {
    const { action, ...data } = target.dataset;
    (PAGING[action] ?? (() => begin(action, data, () => current.live.again())))(data);
  }
});
main.addEventListener("input", (event) => {
  const { param } = event.target.dataset;
  if (param) {
    clearTimeout(typing);
    typing = setTimeout(() => changeQuery(param, event.target.value), event.target.tagName === "SELECT" ? 0 : TYPING);
  }
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
leave.addEventListener("click", () => leaveAction()?.leave());
addEventListener("hashchange", route);
addEventListener("resize", () => {
  if (current.data) {
    draw();
  }
});
resume();
route();

// Texts for codes, numbers and times of the API.

import { hasKey, now } from "./api.js";
import { h } from "./dom.js";

/** The icon, colour and text of an outcome or a state. */
export const STATUS = {
  Queued: ["pause", "wait", "Queued"],
  Waiting: ["pause", "wait", "Waiting"],
  WaitingForIdle: ["pause", "wait", "Waiting"],
  WaitingForCapacity: ["pause", "wait", "Waiting for capacity"],
  Starting: ["turn", "busy", "Starting"],
  Refreshing: ["turn", "busy", "Refreshing"],
  Completed: ["check", "good", "Completed"],
  Failed: ["cross", "bad", "Failed"],
  Cancelled: ["stop", "calm", "Cancelled"],
  TimedOut: ["clock", "bad", "Timed out"],
  OutcomeUnknown: ["unknown", "late", "Outcome unknown"],
  Terminated: ["stop", "bad", "Terminated"],
};

/** The same for the states of a batch and of its models: those above and some more. */
export const IN_BATCH = {
  ...STATUS,
  Listing: ["turn", "busy", "Reading the models"],
  Running: ["turn", "busy", "In progress"],
  Started: ["turn", "busy", "Started"],
  Skipped: ["skip", "calm", "Skipped"],
};

export const HEALTH = {
  overdue: ["late", "late", "Overdue"],
  failing: ["cross", "bad", "Failing"],
  ok: ["check", "good", "Fresh"],
  unknown: ["none", "calm", "No outcome yet"],
};

export const SERVED = {
  own: "by a refresh with exactly the scope of this request",
  wider: "by a refresh with a wider scope than this request",
  merged: "by a refresh that combines the scopes of several requests",
  adopted: "by a refresh that started after the request; the app may not have started it",
};

/** Whether a status is the end of a request or run. */
export function ended(status) {
  return ["Completed", "Failed", "Cancelled", "TimedOut", "OutcomeUnknown", "Terminated"].includes(status);
}

/** 48 s, 12 min, 1 h 05 min, 2 d 3 h: rounded to seconds, then cut to the smallest unit that is shown. */
export function duration(seconds) {
  const total = Math.max(0, Math.round(seconds));
  if (total < 90) {
    return `${total} s`;
  }
  // Math.floor, because the app also cuts the durations in its sentences
  const minutes = Math.floor(total / 60);
  if (minutes < 90) {
    return `${minutes} min`;
  }
  if (minutes < 48 * 60) {
    return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  }
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An age in one unit: 48 s, 12 min, 5 h, 3 days. */
export function age(seconds) {
  const [size, unit] = [
    [86400 * 2, "days"],
    [5400, "h"],
    [90, "min"],
  ].find(([least]) => seconds >= least) ?? [0, "s"];
  const divisor = { days: 86400, h: 3600, min: 60, s: 1 }[unit];
  return `${Math.floor(Math.max(size ? 1 : 0, seconds / divisor))} ${unit}`;
}

export function secondsSince(text) {
  return (now() - Date.parse(text)) / 1000;
}

export function secondsBetween(begin, end) {
  return (Date.parse(end) - Date.parse(begin)) / 1000;
}

/**
 * The seconds from the start of the request of a model in a batch to its end, or until now; null if it has not started.
 * They include the time in which the request waits.
 */
export function elapsed({ status, startedAt, endedAt }) {
  if (!startedAt || !(endedAt || status === "Started")) {
    return null;
  }
  return endedAt ? secondsBetween(startedAt, endedAt) : secondsSince(startedAt);
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const WEEKDAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

/** A moment in the reader's time zone: 14:03 today, else 25 Nov, 14:03. */
export function moment(text, exact = false) {
  const date = new Date(text);
  const clock = (exact ? EXACT : CLOCK).format(date);
  return DAY.format(date) === DAY.format(new Date(now())) ? clock : `${DAY.format(date)}, ${clock}`;
}

/** A `time` element with the text of `moment`, and with the exact time in UTC as a tooltip. */
export function time(text, exact = false) {
  return h(
    "time",
    { datetime: text, title: `${text.replace("T", " ").replace(/\.\d+Z$/, "Z")} (UTC)` },
    moment(text, exact),
  );
}

/** The current time of day, with seconds. */
export function clock() {
  return EXACT.format(new Date(now()));
}

export function tickLabel(milliseconds, days) {
  return (days ? DAY : CLOCK).format(new Date(milliseconds));
}

/** A date of the API in words: Wed, 25 Nov for 2026-11-25. */
export function weekday(text) {
  return WEEKDAY.format(new Date(`${text}T00:00:00Z`));
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en-GB")} ${number === 1 ? one : many}`;
}

/** The parts as a list in words: a, b and c. */
export function listed(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** The title of an error. `answered`: the title if the app answered. */
export function failureTitle({ status }, answered) {
  if (status === undefined) {
    return "This page has a fault";
  }
  return status === 0 ? "No answer" : answered;
}

/** What to do about an error of the API; empty if there is no advice. */
export function advice(error) {
  if (error.action) {
    return error.action;
  }
  if (error.status === 0) {
    return "Check your connection to the app, and whether the app is running.";
  }
  if (error.status === 401) {
    return hasKey() ? "Enter a valid function key." : "Sign in again.";
  }
  if (error.code === "CallerMayOnlyRead") {
    return "Ask the operators of the app to list you among its callers.";
  }
  if (error.status === 403) {
    return "Ask the operators of the app to give you access.";
  }
  if (error.status === 429) {
    return "Try again in a minute.";
  }
  if (error.status >= 500) {
    return "If the problem persists, check api/health of the app and the app's log.";
  }
  return "";
}

// The calls to the app. If the app has function keys, the key of this tab is sent as a header and never in a URL. If it
// has a sign-in, the browser sends the session.

const ROOT = new URL("..", import.meta.url);
const KEY = "functions-key";
const SECONDS = 60;
let skew = 0;

/** A failed call. `status` is 0 if there was no answer. `code` and `message` come from the app, if it sent them. */
export class ApiError extends Error {
  constructor(status, code, message, details = {}) {
    super(message);
    Object.assign(this, { status, code, ...details });
  }
}

/** Milliseconds since 1970 by the clock of the app, which also sets the times in its answers. */
export function now() {
  return Date.now() + skew;
}

/** The URL of the routes, for users who call them. */
export function root() {
  return ROOT.href;
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Stores the key until the tab is closed; null removes it. */
export function keepKey(key) {
  if (key === null) {
    sessionStorage.removeItem(KEY);
  } else {
    sessionStorage.setItem(KEY, key);
  }
}

/** GET. Returns the body or throws an ApiError; the status of a failed request (424) is a normal answer. */
export async function read(path, parameters = {}, signal = undefined) {
  const { status, body } = await call("GET", address(path, parameters), undefined, signal);
  if (status === 200 || status === 202 || (status === 424 && body?.id)) {
    return body;
  }
  throw refused(status, body);
}

/** POST. Returns HTTP status and body; throws an ApiError if the app refused. */
export async function send(path, body) {
  const answer = await call("POST", address(path), body);
  if (answer.status >= 200 && answer.status < 300) {
    return answer;
  }
  if (answer.status === 424 && answer.body?.id) {
    return answer;
  }
  throw refused(answer.status, answer.body);
}

function address(path, parameters = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") {
      url.searchParams.set(name, value);
    }
  }
  return url;
}

async function call(method, url, body, signal) {
  const headers = { Accept: "application/json" };
  if (hasKey()) {
    headers["x-functions-key"] = sessionStorage.getItem(KEY);
  }
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  const limit = AbortSignal.timeout(SECONDS * 1000);
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "same-origin",
      redirect: "manual",
    });
  } catch (problem) {
    if (signal?.aborted) {
      throw problem;
    }
    throw new ApiError(0, "Unreachable", "The app did not answer.");
  }
  if (answer.type === "opaqueredirect") {
    // a sign-in that redirects every call to its own page
    throw new ApiError(401, "SignInRequired", "Sign in to read this.");
  }
  const date = Date.parse(answer.headers.get("Date") ?? "");
  // small differences do not count, because the header has whole seconds
  skew = Number.isNaN(date) || Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
  return { status: answer.status, body: await json(answer) };
}

async function json(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

function refused(status, body) {
  const error = body?.error ?? {};
  const details = { target: error.target, action: error.action };
  return new ApiError(status, error.code ?? "", error.message ?? `The app answered HTTP ${status}.`, details);
}

// Access: a form for the function key, or a link to the sign-in, depending on how the app checks its callers.

import { hasKey, keepKey } from "./api.js";
import { h } from "./dom.js";

const SIGNED_IN = "signed-in";
const PLACE = "place";

/** What a user without access sees instead of a view. `again` repeats the call. */
export function accessForm(error, again) {
  return error.code === "SignInRequired" ? signIn() : keyForm(hasKey(), again);
}

/** The button that ends the user's access: its label, and `leave` to do it; null if there is no access to end. */
export function leaveAction() {
  if (hasKey()) {
    return {
      label: "Forget the key",
      leave: () => {
        keepKey(null);
        location.reload();
      },
    };
  }
  if (sessionStorage.getItem(SIGNED_IN)) {
    return {
      label: "Sign out",
      leave: () => {
        sessionStorage.removeItem(SIGNED_IN);
        location.assign(
          `${location.origin}/.auth/logout?post_logout_redirect_uri=${encodeURIComponent(location.pathname)}`,
        );
      },
    };
  }
  return null;
}

/** Returns to the view from before the sign-in, because the sign-in may drop the part of the URL after #. */
export function resume() {
  const place = sessionStorage.getItem(PLACE);
  sessionStorage.removeItem(PLACE);
  if (place && !location.hash) {
    history.replaceState(null, "", place);
  }
}

function signIn() {
  const here = `${location.pathname}${location.hash}`;
  const link = h(
    "a",
    { class: "button strong", href: `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(here)}` },
    "Sign in",
  );
  link.addEventListener("click", () => {
    sessionStorage.setItem(SIGNED_IN, "yes");
    sessionStorage.setItem(PLACE, location.hash);
  });
  return h(
    "div",
    { class: "view access" },
    h("h1", { tabindex: "-1" }, "Sign in to see the models"),
    h("p", {}, "The app shows them to people to whom its operators have given access."),
    h("p", { class: "actions" }, link),
  );
}

function keyForm(wrong, again) {
  const input = h("input", {
    id: "key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "key-note",
    "aria-invalid": wrong ? "true" : null,
  });
  const form = h(
    "form",
    { class: "field" },
    h("label", { for: "key" }, "Function key"),
    h("p", { class: "row" }, input, h("button", { class: "strong" }, "Open")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepKey(input.value.trim());
    again();
  });
  return h(
    "div",
    { class: "view access" },
    h("h1", { tabindex: "-1" }, "Enter a function key"),
    wrong ? h("p", { class: "problem", role: "alert" }, "The app does not accept this key.") : null,
    form,
    h(
      "p",
      { class: "muted", id: "key-note" },
      "Operators find keys in the Azure portal: the function app, App keys. This tab keeps the key until you close the tab. It sends the key in a header, never in a URL.",
    ),
  );
}

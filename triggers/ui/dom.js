// Builds elements through the DOM API, never from HTML text, because names of models and callers are data. `patch`
// changes only what differs, so that an update moves neither focus nor selection nor scroll position.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes with null or false are left out. Children: nodes, texts, lists of these, or null. */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for an SVG element. */
export function s(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Text that the app did not write: its direction and its control characters do not affect the text around it. */
export function isolate(text, kind = "") {
  return h("bdi", { class: kind || null, title: text.length > 60 ? text : null }, text);
}

const ICONS = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4 4l8 8M12 4l-8 8",
  clock: "M8 4.5V8l2.5 1.8M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z",
  turn: "M13 6.2A5.3 5.3 0 1 0 13.3 8.8M13.4 3v3.4H10",
  pause: "M6 4v8M10 4v8",
  stop: "M4.5 4.5h7v7h-7z",
  skip: "M4 4l5 4-5 4M12 4v8",
  unknown: "M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.6M8 12.1v.1",
  late: "M8 5v3.6M8 11.2v.1M8 1.8l6.6 11.7H1.4z",
  none: "M6 8h4",
};

/** A small icon next to a word. Screen readers skip it, because the word says the same. */
export function icon(name) {
  const path = s("path", { d: ICONS[name] });
  return s("svg", { class: "icon", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, path);
}

/** The path of an icon, for images that contain several. */
export function iconPath(name) {
  return ICONS[name];
}

/** Makes `old` equal to `fresh`. A child with `data-key` stays the same element even if it moves. */
export function patch(old, fresh) {
  const focused = document.activeElement;
  patchNode(old, fresh);
  if (focused?.isConnected && focused !== document.activeElement) {
    focused.focus({ preventScroll: true });
  }
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

function keyOf(node) {
  return node.dataset?.key;
}

function patchNode(old, fresh) {
  if (old.nodeName !== fresh.nodeName || keyOf(old) !== keyOf(fresh)) {
    old.replaceWith(fresh);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) {
      old.data = fresh.data;
    }
  } else {
    patchAttributes(old, fresh);
    patchChildren(old, fresh);
  }
}

function patchAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    // whether `details` are open is decided by the user
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
}

function patchChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  const keys = new Set(wanted.map(keyOf));
  const kept = new Map();
  for (const child of [...old.childNodes]) {
    const key = keyOf(child);
    if (key && !keys.has(key)) {
      child.remove();
    } else if (key) {
      kept.set(key, child);
    }
  }
  let next = old.firstChild;
  for (const child of wanted) {
    const key = keyOf(child);
    const found = key ? kept.get(key) : next && !keyOf(next) && next.nodeName === child.nodeName ? next : null;
    if (!found) {
      old.insertBefore(child, next);
    } else {
      if (found === next) {
        next = next.nextSibling;
      } else {
        old.insertBefore(found, next);
      }
      patchNode(found, child);
    }
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

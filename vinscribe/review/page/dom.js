// Small helpers for making elements.

/** An element with attributes (class, data-…, aria-…; functions become listeners) and children (elements or texts). */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);

let hiding = null;

/** Says something for a few seconds, at the foot of the page; an empty text hides it. */
export function notice(text, kind = "plain") {
  const box = byId("notice");
  box.textContent = text;
  box.dataset.kind = kind;
  box.hidden = !text;
  clearTimeout(hiding);
  if (text) hiding = setTimeout(() => notice(""), 7000);
}

/** A lasting message at the head of the page, such as a lost connection; an empty text hides it. */
export function banner(text) {
  byId("banner").textContent = text;
  byId("banner").hidden = !text;
}

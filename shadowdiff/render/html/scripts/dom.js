// Elements are made from text nodes and attributes only: nothing that came from a database is ever parsed as HTML.

const byId = (id) => document.getElementById(id);

/** An element. Attributes that are false or null are left out, `on…` are listeners, children may be strings. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const unseen = (text) => el("span", { class: "unseen" }, text);
const silent = (text, css) => el("span", { class: css, "aria-hidden": "true" }, text);
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** Says it to screen readers, and to eyes beside the filters. */
function say(text) {
  byId("status").textContent = text;
}

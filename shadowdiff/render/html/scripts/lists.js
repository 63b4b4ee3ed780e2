// One turn's lists side by side, with the terminal's signs.

/** Where the other side put an entry, for those who hear it: `▸ 4`, `=`, `· now 22`, `B▸4 C·22 cut`. */
function placeInWords(place) {
  return place
    .replace(/·\s*unranked|·–/gu, " not ranked on the other side")
    .replace(/·\s*(?:now|was)?\s*(\d+)/gu, " rank $1 on the other side, not surfaced there")
    .replace(/▸\s*(\d+)/gu, " rank $1 on the other side")
    .replace(/=/gu, " same rank on the other side")
    .replace("cut", ", below its min_score")
    .trim();
}

function signInWords(sign, near, isBaseline) {
  const only = !sign ? "" : isBaseline && sign.length > 1 ? `not in ${[...sign.slice(1)].join(", ")}` : `only in this list`;
  return [only, near ? "near-tie at the cut" : ""].filter(Boolean).join(", ");
}

function rowOf(row, rank, isBaseline, context) {
  const [sign, place, there, near, suffix] = row;
  const entry = entries[place];
  const css = sign ? (isBaseline ? "row only-a" : "row only-b") : "row";
  const words = signInWords(sign, near, isBaseline);
  const moved = there.startsWith("▸") || /[A-Z]▸/u.test(there);
  const open = (event) => openEntry(place, context, event.currentTarget);
  return el("li", { class: css },
    silent(`${sign}${near ? "≈" : ""}`, "sign"),
    silent(String(rank), "rank"),
    el("button", { type: "button", class: "title", onclick: open },
      el("bdi", {}, markedParts(titleOf(entry), filters.parts), suffix ? el("span", { class: "small" }, suffix) : "")),
    silent(there, moved ? "place moved" : "place"),
    unseen([words, placeInWords(there)].filter(Boolean).join(", ")));
}

function columnOf(column, side, isBaseline, context) {
  const [rows, message, failed] = column;
  const heading = el("h5", { class: isBaseline ? "a" : "b" }, el("bdi", {}, side.heading));
  if (!rows.length) return el("div", { class: "column" }, heading, el("p", { class: failed ? "failure" : "small" }, message));
  const list = el("ol", { class: "rows" }, rows.map((row, at) => rowOf(row, at + 1, isBaseline, context)));
  return el("div", { class: "column" }, heading, list);
}

function listsOf(turn, session) {
  const shown = facts.sides.filter((side, at) => at === 0 || facts.views[filters.view].includes(side.label));
  const columns = turn.v[filters.view].map((column, at) => columnOf(column, shown[at], at === 0, { turn, session }));
  return el("div", { class: `columns of-${columns.length}` }, columns);
}

/** Parts of a line of counts; one that ends in a colon names the others. */
function partsOf(parts) {
  return parts.flatMap(([text, css], at) => {
    const joint = !at ? "" : parts[at - 1][0].endsWith(":") ? " " : " · ";
    return [joint, css ? el("span", { class: `part-${css}` }, text) : text];
  });
}

/** What production returned on this turn, best first. */
function servedOf(turn, session) {
  if (!turn.w) return null;
  const by = turn.by ? ` by ${turn.by}` : "";
  const label = turn.w.length ? `Served in production${by}: ${counted(turn.w.length, "entry").replace("entrys", "entries")}` : `Served in production${by}: nothing`;
  if (!turn.w.length) return el("p", { class: "small served" }, label);
  const list = el("ol", { class: "rows" }, turn.w.map((place, at) =>
    el("li", { class: "row" }, silent("", "sign"), silent(String(at + 1), "rank"),
      el("button", { type: "button", class: "title", onclick: (event) => openEntry(place, { turn, session }, event.currentTarget) },
        el("bdi", {}, titleOf(entries[place]))))));
  return el("details", { class: "served" }, el("summary", {}, label), list);
}

// The text of one entry, beside the lists it stands in.

let opener = null;

async function openEntry(place, { turn, session }, from) {
  const entry = entries[place];
  const panel = byId("entry");
  opener = from;
  const title = el("h3", { id: "entry-title" }, el("bdi", {}, titleOf(entry)));
  const body = el("div", { class: "text" }, el("p", { class: "small" }, "Reading …"));
  panel.replaceChildren(
    el("div", { class: "entry-head" }, title, el("button", { type: "button", class: "quiet", onclick: closeEntry, "aria-label": "Close the entry" }, "✕")),
    el("p", { class: "small" }, el("code", {}, el("bdi", {}, shownId(entry))), " · ", el("bdi", {}, session.o)),
    standingsOf(turn, place),
    el("p", { class: "small asked" }, el("bdi", {}, turn.q)),
    body);
  keeping(from, () => {
    panel.hidden = false;
    document.documentElement.classList.add("reading");
  });
  panel.scrollTop = 0;
  panel.focus();
  await showText(entry, turn, title, body);
}

/** The lists make room for the text: the row that was clicked must not move meanwhile. */
function keeping(row, change) {
  const before = row?.isConnected ? row.getBoundingClientRect().top : null;
  change();
  if (before !== null) scrollBy(0, row.getBoundingClientRect().top - before);
}

async function showText(entry, turn, title, body) {
  if (typeof entry[2] === "string") {
    body.replaceChildren(el("p", { class: "small missing" }, `No text: ${entry[2]}.`));
    return;
  }
  const [whole, text, cut] = await textOf(entry[2]);
  const looked = sought(turn.s || turn.q);
  if (whole) title.replaceChildren(el("bdi", {}, markedWords(whole, looked)));
  const paragraphs = text.split("\n").filter((line) => line.trim());
  body.replaceChildren(...paragraphs.map((line) => el("p", { dir: "auto" }, markedWords(line, looked))));
  if (!paragraphs.length) body.replaceChildren(el("p", { class: "small missing" }, "The entry has no body."));
  if (cut) body.append(el("p", { class: "small missing" }, `Cut here: ${cut.toLocaleString("en")} more characters are not in this page.`));
}

/** Rank and score on every side. */
function standingsOf(turn, place) {
  const line = turn.e.find((each) => each[0] === place);
  if (!line) return el("p", { class: "small" }, "No side surfaced it on this turn.");
  const rows = facts.sides.map((side, at) => {
    const [rank, score] = [line[2 + 2 * at], line[3 + 2 * at]];
    return el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, side.heading)), el("td", {}, rank === null ? "–" : String(rank)), el("td", {}, score === null ? "–" : String(score)));
  });
  const retrieved = el("tr", {}, el("th", { scope: "row" }, "retrieval"), el("td", {}, line[1] === null ? "–" : String(line[1])), el("td", {}, ""));
  const head = el("tr", {}, ["side", "rank", "score"].map((name) => el("th", { scope: "col" }, name)));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, rows, retrieved));
}

function closeEntry() {
  if (byId("entry").hidden) return false;
  keeping(opener, () => {
    byId("entry").hidden = true;
    document.documentElement.classList.remove("reading");
  });
  opener?.focus?.({ preventScroll: true });
  opener = null;
  return true;
}

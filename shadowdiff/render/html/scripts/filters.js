// Which sessions are listed, in which order, and which of their turns are meant.

const filters = { view: Object.keys(facts.views)[0], org: "", outcome: "", parts: [], sort: "contrast" };
let pinned = null;
let listed = [];

/** A turn's outcomes in the view at hand, a letter per side. */
function lettersOf(turn) {
  return facts.views[filters.view].map((label) => turn.o[OTHERS.indexOf(label)]);
}

const differs = (turn) => lettersOf(turn).some((letter) => letter === "d" || letter === "f");
const isQuiet = (turn) => lettersOf(turn).every((letter) => letter === "s");
const isFiltered = () => Boolean(filters.org || filters.outcome || filters.parts.length);

/** Whether the filters mean this turn; `hits` has the entries that each part of the search stands in. */
function isMeant(session, turn, hits) {
  if (filters.outcome && !lettersOf(turn).includes(filters.outcome)) return false;
  return filters.parts.every(
    (part, at) =>
      turn.text.includes(part) ||
      session.text.includes(part) ||
      turn.e.some((line) => hits[at][line[0]]) ||
      (turn.w ?? []).some((place) => hits[at][place]),
  );
}

function prepareSearch() {
  for (const session of sessions) {
    session.text = plain(`${session.s ?? session.i} ${session.tags.join(" ")}`);
    for (const turn of session.t) turn.text = plain(`${turn.q} ${turn.s ?? ""} ${turn.i}`);
  }
  for (const entry of entries) entry.text = plain(`${entry[1]} ${shownId(entry)} ${entry[0]}`);
}

/** Every session that has a turn that is meant, and the one that a link has led to. */
function applyFilters() {
  if (filters.parts.length && entries.length && entries[0].text === undefined) prepareSearch();
  if (filters.parts.length && sessions[0]?.text === undefined) prepareSearch();
  const hits = filters.parts.map((part) => Uint8Array.from(entries, (entry) => entry.text.includes(part)));
  listed = [];
  for (const session of sessions) {
    if (filters.org && session.o !== filters.org && session !== pinned) continue;
    session.meant = new Set(session.t.filter((turn) => isMeant(session, turn, hits)));
    if (session.meant.size || session === pinned || !(isFiltered() || session.t.length)) listed.push(session);
  }
  listed.sort(filters.sort === "time" ? byTime : byContrast);
}

const byTime = (one, other) => one.time - other.time || one.place - other.place;

function byContrast(one, other) {
  const [a, b] = [one.x[filters.view], other.x[filters.view]];
  return a[0] - b[0] || a[1] - b[1] || byTime(one, other);
}

function spoken() {
  const turns = listed.reduce((sum, session) => sum + session.meant.size, 0);
  const of = isFiltered() ? ` of ${sessions.length.toLocaleString("en")}` : "";
  const linked = pinned && !pinned.meant.size ? ", one of them shown only because it was linked to" : "";
  return `${listed.length.toLocaleString("en")}${of} ${of || listed.length !== 1 ? "sessions" : "session"}, ${counted(turns, "turn")}${linked}`;
}

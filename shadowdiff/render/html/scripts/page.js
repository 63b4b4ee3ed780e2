// Controls, keys, theme and printing; then the sessions are read and the list begins.

const PRINTED = 200;
const THEMES = ["system", "light", "dark"];

function redraw() {
  closeEntry();
  applyFilters();
  drawList();
  byId("clear").hidden = !isFiltered();
}

function onFilter() {
  pinned = null;
  here = null;
  unfoldedTurns.clear();
  filters.org = byId("org").value;
  filters.outcome = byId("outcome").value;
  filters.sort = byId("sort").value;
  filters.view = byId("view").value;
  filters.parts = plain(byId("search").value).split(/\s+/u).filter(Boolean);
  showView();
  redraw();
}

function clearFilters() {
  for (const id of ["search", "org", "outcome"]) byId(id).value = "";
  onFilter();
  byId("search").focus();
}

/** Figures and charts of the sides that are looked at; all where all are. */
function showView() {
  for (const part of document.querySelectorAll("[data-pair]")) {
    part.hidden = !facts.views[filters.view].includes(part.dataset.pair);
  }
  const [baseline] = LABELS;
  const other = facts.views[filters.view].length > 1 ? null : filters.view;
  const signs = [
    ["-", `only in ${baseline}`, "only-a"],
    ["+", other ? `only in ${other}` : `not in ${baseline}`, "only-b"],
    ...(other ? [] : [[`-${OTHERS[0]}`, `not in ${OTHERS[0]}`, "only-a"]]),
    ["≈", "near-tie at the cut"],
    ["▸ 3", "rank on the other side"],
    ["=", "same rank"],
    ["· now 14", `outside the other's top ${facts.topK}`],
  ];
  byId("signs").replaceChildren(...signs.map(([sign, words, css]) => el("span", { class: "sign-key" }, el("b", { class: css }, sign), ` ${words}`)));
}

function foldAll() {
  const isFolded = byId("fold").getAttribute("aria-pressed") !== "true";
  byId("fold").setAttribute("aria-pressed", String(isFolded));
  byId("fold").textContent = isFolded ? "Unfold all" : "Fold all";
  for (const session of sessions) fold(session, isFolded);
  say(isFolded ? "All sessions are folded." : "All sessions are unfolded.");
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").textContent = `Theme: ${name}`;
  keep("theme", name);
}

/** A page opened from disk may have no storage: what is chosen then lasts as long as the page. */
function keep(name, value) {
  try {
    localStorage.setItem(`shadowdiff-${name}`, value);
  } catch {
    // Nothing is lost but the choice.
  }
}

function kept(name) {
  try {
    return localStorage.getItem(`shadowdiff-${name}`);
  } catch {
    return null;
  }
}

const nextTheme = () => theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);

function copyHere() {
  if (here) copyLink("turn", here.i);
  else say("Go to a turn first: n is the next that differs.");
}

const KEYS = {
  n: () => step(1),
  ArrowRight: () => step(1),
  p: () => step(-1),
  ArrowLeft: () => step(-1),
  "/": () => byId("search").focus(),
  f: foldAll,
  c: copyHere,
  t: nextTheme,
  "?": () => byId("help").showModal(),
};

function onKey(event) {
  if (event.key === "Escape" && !byId("help").open) {
    if (!closeEntry() && event.target === byId("search")) byId("search").blur();
    return;
  }
  if (!byId("single-keys").checked) return;
  const isTyping = event.target.closest?.("input, select, textarea, dialog, .scroller");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS) || byId("help").open) return;
  event.preventDefault();
  KEYS[event.key]();
}

/** Paper has no scroll bar: what is listed is drawn, up to a number of sessions that is still read. */
function beforePrint() {
  drawMore(Math.min(PRINTED, listed.length));
  listed.slice(0, PRINTED).forEach((session) => fill(cards.get(session)));
  document.documentElement.classList.add("printing");
  const rest = listed.length - PRINTED;
  if (rest > 0) byId("more").textContent = `${counted(rest, "more session")} not printed`;
}

function afterPrint() {
  document.documentElement.classList.remove("printing");
  drawMore();
}

function options(select, pairs) {
  select.append(...pairs.map(([value, text]) => el("option", { value }, text)));
}

function prepareControls() {
  const orgs = new Map();
  for (const session of sessions) orgs.set(session.o, (orgs.get(session.o) ?? 0) + 1);
  options(byId("org"), [["", `all ${orgs.size.toLocaleString("en")}`], ...[...orgs].sort().map(([org, count]) => [org, `${org} (${count.toLocaleString("en")})`])]);
  const names = Object.keys(facts.views);
  options(byId("view"), names.map((name) => [name, name === "*" ? `all beside ${LABELS[0]}` : `${LABELS[0]} and ${name}`]));
  byId("view-label").hidden = names.length < 2;
  for (const id of ["org", "outcome", "view", "sort"]) byId(id).addEventListener("change", onFilter);
  let waiting = 0;
  byId("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(onFilter, 120);
  });
  byId("clear").addEventListener("click", clearFilters);
  byId("fold").addEventListener("click", foldAll);
  byId("next").addEventListener("click", () => step(1));
  byId("previous").addEventListener("click", () => step(-1));
}

/** What is scrolled to must not hide behind what sticks to the top, however many lines that takes. */
function keepClear() {
  const sticks = getComputedStyle(byId("filters")).position === "sticky";
  const height = (sticks ? byId("filters").offsetHeight : 0) + document.querySelector(".bar").offsetHeight;
  document.documentElement.style.scrollPaddingTop = `${height + 10}px`;
}

async function start() {
  theme(THEMES.includes(kept("theme")) ? kept("theme") : "system");
  byId("single-keys").checked = kept("single-keys") !== "off";
  byId("single-keys").addEventListener("change", (event) => keep("single-keys", event.target.checked ? "on" : "off"));
  byId("theme").addEventListener("click", nextTheme);
  byId("keys").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
  document.addEventListener("keydown", onKey);
  [sessions, entries] = await Promise.all([read("sessions"), read("entries")]);
  sessions.forEach((session, place) => { session.place = place; });
  prepareControls();
  byId("loading").hidden = true;
  byId("work").hidden = false;
  showView();
  new ResizeObserver(keepClear).observe(byId("filters"));
  keepClear();
  redraw();
  addEventListener("hashchange", followLink);
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
  followLink();
  document.documentElement.dataset.ready = "true";
  performance.mark("shadowdiff-ready");
}

start().catch((error) => {
  byId("loading").textContent = `The sessions cannot be read: ${error.message}. A browser of 2023 or later is needed.`;
});

// A card per session. Its turns are drawn when it comes near the screen, and taken away when it is far from it.

const CHUNK = 200;
const NEAR = "1800px 0px";
const folded = new Set();
const unfoldedTurns = new Map();
let cards = new Map();
let drawn = 0;

const isOpen = (session, turn) => unfoldedTurns.get(turn) ?? (session.meant.has(turn) && !isQuiet(turn));
const nearby = new IntersectionObserver((found) => found.forEach(({ target, isIntersecting }) => {
  const card = cards.get(target.session);
  if (card?.article === target) (isIntersecting ? fill : empty)(card);
}), { rootMargin: NEAR });
const ending = new IntersectionObserver((found) => { if (found.some((each) => each.isIntersecting)) drawMore(); }, { rootMargin: "2400px 0px" });

/** Start the list anew: the cards of what is listed now, a few at first. */
function drawList() {
  nearby.disconnect();
  cards = new Map();
  drawn = 0;
  byId("list").replaceChildren();
  drawMore();
  fillFirst();
  say(spoken());
}

/** What meets the eye first is drawn with the list, not when an observer comes to it: a filter does not blink. */
function fillFirst() {
  let height = 0;
  for (const card of cards.values()) {
    if (height > innerHeight) return;
    height += folded.has(card.session) ? 0 : estimate(card.session);
    fill(card);
  }
}

function drawMore(least = 0) {
  const end = Math.min(listed.length, Math.max(drawn + CHUNK, least));
  const made = listed.slice(drawn, end).map(cardOf);
  byId("list").append(...made);
  made.forEach((article) => nearby.observe(article));
  drawn = end;
  const rest = listed.length - drawn;
  byId("more").textContent = rest ? `${counted(rest, "more session")} below` : listed.length ? "" : "No session matches these filters.";
  ending.unobserve(byId("more"));
  if (rest) ending.observe(byId("more"));
}

function cardOf(session) {
  const id = `session-${session.place}`;
  const body = el("div", { class: "turns", id: `${id}-turns` });
  const toggle = el("button", { type: "button", class: "fold", "aria-controls": body.id, "aria-label": "Turns of this session", onclick: () => fold(session, !folded.has(session)) });
  const article = el("article", { class: "session", id, "aria-labelledby": `${id}-name` },
    el("header", { class: "session-head" }, toggle,
      el("h3", { id: `${id}-name` }, el("bdi", {}, session.s ?? session.i)),
      el("span", { class: "small who" }, el("bdi", {}, session.o), ` · ${session.at} · ${counted(session.n, "turn")}`),
      stripOf(session),
      el("span", { class: "tags small" }, session.tags.map((tag) => el("bdi", { class: "tag" }, tag))),
      copyButton("session", session.i, "Copy a link to this session"),
      el("div", { class: "small counts" }, countsOf(session))),
    body);
  article.session = session;
  const card = { session, article, body, toggle, isFilled: false, height: 0 };
  cards.set(session, card);
  body.style.minHeight = `${estimate(session)}px`;
  showFold(card);
  return article;
}

function countsOf(session) {
  const shown = session.c.filter(([label]) => facts.views[filters.view].includes(label));
  return shown.map(([label, parts]) => el("div", {}, shown.length > 1 ? el("b", {}, `${label}: `) : "", partsOf(parts)));
}

/** A square per turn, in the colour of its outcome; the turns say it in words. */
function stripOf(session) {
  const squares = session.t.slice(0, 40).map((turn) => el("i", { class: `outcome-${OUTCOMES[worst(turn)]}` }));
  return el("span", { class: "strip", "aria-hidden": "true" }, squares);
}

function worst(turn) {
  const letters = lettersOf(turn);
  return ["f", "d", "r", "s"].find((letter) => letters.includes(letter)) ?? "s";
}

/** Height that its turns will take, so that the scroll bar is right before they are drawn. */
function estimate(session) {
  const columns = innerWidth < 720 ? facts.views[filters.view].length + 1 : 1;
  return session.t.reduce((sum, turn) => sum + (isOpen(session, turn) ? 150 + 27 * columns * Math.max(...turn.v[filters.view].map((column) => column[0].length)) : 66), 0);
}

function fill(card) {
  if (card.isFilled || folded.has(card.session)) return;
  card.isFilled = true;
  card.body.replaceChildren(...card.session.t.map((turn) => turnOf(card.session, turn)));
  card.body.style.minHeight = "";
}

function empty(card) {
  if (!card.isFilled || card.article.contains(document.activeElement)) return;
  card.isFilled = false;
  card.body.style.minHeight = `${card.body.offsetHeight}px`;
  card.body.replaceChildren();
}

function fold(session, isFolded) {
  if (isFolded) folded.add(session);
  else folded.delete(session);
  const card = cards.get(session);
  if (card) showFold(card);
}

function showFold(card) {
  const isFolded = folded.has(card.session);
  card.body.hidden = isFolded;
  card.toggle.setAttribute("aria-expanded", String(!isFolded));
  card.article.classList.toggle("folded", isFolded);
  // Observed anew, a card that is near the screen is drawn.
  nearby.unobserve(card.article);
  nearby.observe(card.article);
}

const turnId = (session, turn) => `turn-${session.place}-${turn.p}`;

function turnOf(session, turn) {
  const open = isOpen(session, turn);
  const id = turnId(session, turn);
  const toggle = () => {
    unfoldedTurns.set(turn, !isOpen(session, turn));
    const made = turnOf(session, turn);
    byId(id).replaceWith(made);
    made.querySelector(".turn-fold").focus();
  };
  const made = el("section", { class: open ? "turn" : "turn quiet", id, tabindex: "-1", "aria-labelledby": `${id}-name` },
    el("div", { class: "turn-head" },
      el("button", { type: "button", class: "turn-fold", "aria-expanded": String(open), "aria-label": `Lists of turn ${turn.p}`, onclick: toggle }),
      el("h4", { id: `${id}-name` }, el("span", { class: "position" }, `turn ${turn.p}/${session.n}`), " ", el("bdi", { class: "query" }, markedParts(turn.q, filters.parts))),
      badgesOf(turn),
      copyButton("turn", turn.i, "Copy a link to this turn")),
    turn.s ? el("p", { class: "searched small" }, "searched: ", el("bdi", {}, "“", markedParts(turn.s, filters.parts), "”")) : null,
    turn.n.map((note) => el("p", { class: "small turn-note" }, note)),
    open ? listsOf(turn, session) : null,
    sidesInView().map((label) => el("p", { class: "small turn-counts" }, partsOf(turn.c[OTHERS.indexOf(label)]))),
    open ? servedOf(turn, session) : null);
  made.turn = turn;
  made.session = session;
  return made;
}

const sidesInView = () => facts.views[filters.view];

function badgesOf(turn) {
  const letters = lettersOf(turn);
  return el("span", { class: "badges" }, letters.map((letter, at) =>
    el("span", { class: `badge outcome-${OUTCOMES[letter]}` }, letters.length > 1 ? `${sidesInView()[at]} ` : "", OUTCOMES[letter])));
}

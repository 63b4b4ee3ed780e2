// From difference to difference, through all that is listed.

let here = null;

document.addEventListener("focusin", (event) => {
  const turn = event.target.closest?.(".turn");
  if (turn) here = turn.turn;
});

function stepsOf() {
  return listed.flatMap((session) => session.t.filter((turn) => session.meant.has(turn) && differs(turn)).map((turn) => ({ session, turn })));
}

/** Go to the next (1) or the previous (-1) turn that differs. */
function step(way) {
  const steps = stepsOf();
  if (!steps.length) return say("No listed turn differs.");
  const at = steps.findIndex(({ turn }) => turn === here);
  const next = at < 0 ? fromScreen(steps, way) : at + way;
  if (next < 0 || next >= steps.length) return say(way > 0 ? "That was the last difference." : "That was the first difference.");
  reveal(steps[next].session, steps[next].turn);
  return say(`difference ${(next + 1).toLocaleString("en")} of ${steps.length.toLocaleString("en")}`);
}

/** Nothing was stepped to yet: begin with what is on the screen. */
function fromScreen(steps, way) {
  const place = new Map(listed.map((session, at) => [session, at]));
  const first = listed.findIndex((session) => (cards.get(session)?.article.getBoundingClientRect().bottom ?? 0) > 120);
  const at = steps.findIndex(({ session }) => place.get(session) >= Math.max(first, 0));
  return way > 0 ? at : (at < 0 ? steps.length : at) - 1;
}

/** Bring a turn, or a session without one, onto the screen, and move the focus there. */
function reveal(session, turn) {
  const at = listed.indexOf(session);
  if (at >= drawn) drawMore(at + 1);
  const card = cards.get(session);
  fold(session, false);
  if (turn && !isOpen(session, turn)) {
    unfoldedTurns.set(turn, true);
    card.isFilled = false;
  }
  fill(card);
  const target = turn ? byId(turnId(session, turn)) : card.article;
  if (!turn) target.tabIndex = -1;
  // Focus first: a card that holds it is not emptied while the page scrolls past others.
  target.focus({ preventScroll: true });
  settle(target);
  here = turn ?? session.t[0];
}

/** Keep it at the top for half a second, while cards around it are drawn and take their real height. */
function settle(target) {
  let frames = 30;
  const stop = () => { frames = 0; };
  for (const name of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(name, stop, { once: true, passive: true });
  const frame = () => {
    if (frames <= 0 || !target.isConnected) return;
    frames -= 1;
    target.scrollIntoView({ block: "start" });
    requestAnimationFrame(frame);
  };
  frame();
}

// `#session=ID` and `#turn=ID`, ids as encodeURIComponent writes them: they open whatever the filters say.

function encoded(id) {
  try {
    return encodeURIComponent(id);
  } catch {
    return encodeURIComponent(id.replace(/[\ud800-\udfff]/gu, "\ufffd"));
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function followLink() {
  const [, kind, rest] = /^#(session|turn)=(.*)$/su.exec(location.hash) ?? [];
  if (!kind) return;
  const id = decoded(rest);
  const named = (each) => each.i === id || encoded(each.i) === rest;
  const session = sessions.find((each) => (kind === "session" ? named(each) : each.t.some(named)));
  if (!session) {
    say(`This report has no such ${kind}.`);
    return;
  }
  if (!listed.includes(session)) {
    pinned = session;
    applyFilters();
    drawList();
  }
  reveal(session, kind === "turn" ? session.t.find(named) : null);
}

function copyButton(kind, id, label) {
  return el("button", { type: "button", class: "link", "aria-label": label, title: label, onclick: () => copyLink(kind, id) }, silent("#", "glyph"));
}

async function copyLink(kind, id) {
  const url = `${location.href.split("#")[0]}#${kind}=${encoded(id)}`;
  history.replaceState(null, "", `#${kind}=${encoded(id)}`);
  try {
    await navigator.clipboard.writeText(url);
    say(`A link to this ${kind} is copied.`);
  } catch {
    say(`The link to this ${kind} stands in the address bar.`);
  }
}

// What the page carries: gzip in base64, so that it is small and no byte of it can end its own element.
//
// session: i id · s id as shown, where it is not the id · o org · at, time start · n turns · tags
//          x by view: how it sorts · c per side: label and parts of its counts · t turns
// turn:    i id · p position · q query · s searched with · o outcomes, a letter per side · n notes
//          c per side: parts of its counts · v by view: columns · w served entries · by who served them
//          e per surfaced entry: place, retrieval rank, then rank and score per side
// column:  rows, message, 1 where it failed;  row: sign, entry, place on the other side, near-tie, suffix
// entry:   id, title, place of its text or why there is none, id as shown where it is not the id
// text:    title, body, characters that are cut

const facts = JSON.parse(byId("facts").textContent);
const OUTCOMES = { s: "same", r: "reordered", d: "different", f: "failed" };
const LABELS = facts.sides.map((side) => side.label);
const OTHERS = LABELS.slice(1);

let sessions = [];
let entries = [];
let texts = null;

async function read(name) {
  const block = byId(`${name}-block`);
  const zipped = bytesOf(block.textContent);
  block.remove();
  const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  const lines = (await new Response(stream).text()).trimEnd();
  return JSON.parse(`[${lines.replaceAll("\n", ",")}]`);
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** Texts are unpacked when the first is asked for. */
function textOf(place) {
  texts ??= read("texts");
  return texts.then((all) => all[place]);
}

const titleOf = (entry) => entry[1] || shownId(entry);
const shownId = (entry) => entry[3] ?? entry[0];

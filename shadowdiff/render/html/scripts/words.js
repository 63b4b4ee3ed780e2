// Which words of a text are those of a query. Segmenter knows the words of languages that put no spaces between them.

const ASKING = "about can could did do does has have how i me my our should we what when where which who why would you your";
const STOP_WORDS = new Set([...facts.stopWords, ...ASKING.split(" ")]);
const ENDING = /(?:ations?|ions?|ings?|ies|ied|ed|es|s|e|y)$/u;
const LETTERS = /[\p{L}\p{M}\p{N}]+/gu;
const segmenter = Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "word" }) : null;
const plain = (text) => text.normalize("NFC").toLowerCase();

/** A word without its commonest English endings, where enough of it is left. */
function stem(word) {
  const cut = word.replace(ENDING, "");
  return cut.length >= 3 ? cut : word;
}

function* wordsOf(text) {
  if (!segmenter) {
    for (const { 0: word, index } of text.matchAll(LETTERS)) yield [index, index + word.length, stem(plain(word))];
    return;
  }
  for (const { segment, index, isWordLike } of segmenter.segment(text)) {
    if (isWordLike) yield [index, index + segment.length, stem(plain(segment))];
  }
}

/** What is looked for: words of the query that say something. */
function sought(query) {
  const found = new Set();
  for (const [start, end, word] of wordsOf(query)) {
    const written = plain(query.slice(start, end));
    if (!STOP_WORDS.has(written) && (written.length > 1 || /[^\x00-\x7f]/u.test(written))) found.add(word);
  }
  return found;
}

/** Text nodes and <mark>s: the words of `looked` in the text. */
function markedWords(text, looked) {
  const ranges = [];
  if (looked.size) for (const [start, end, word] of wordsOf(text)) if (looked.has(word)) ranges.push([start, end]);
  return marked(text, ranges);
}

/** The same for what was typed into the search field, which may be parts of words. */
function markedParts(text, parts) {
  const folded = plain(text);
  const ranges = [];
  // Folding may change a text's length (İ); then places in it are not places in the text.
  if (folded.length === text.length) {
    for (const part of parts) {
      for (let at = folded.indexOf(part); at >= 0; at = folded.indexOf(part, at + part.length)) {
        ranges.push([at, at + part.length]);
      }
    }
  }
  return marked(text, ranges.sort((a, b) => a[0] - b[0]));
}

/** Ranges come in order of their starts; those that touch are one. */
function marked(text, ranges) {
  const joined = [];
  for (const [start, end] of ranges) {
    const last = joined.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  const nodes = [];
  let done = 0;
  for (const [start, end] of joined) {
    nodes.push(text.slice(done, start), el("mark", {}, text.slice(start, end)));
    done = end;
  }
  return [...nodes, text.slice(done)];
}

"""From an entry to the document text that rerankers read. Part of a reranker's fingerprint."""

from __future__ import annotations

from shadowdiff.records import Entry

TITLE_AND_BODY = "title+body"
BODY = "body"
FORMS = (TITLE_AND_BODY, BODY)


def document_text(entry: Entry, form: str = TITLE_AND_BODY) -> str:
    """The entry as a document.

    `title+body` puts the title on a line above the body, unless there is none
    or the body begins with it already; an entry without body is its title.
    """
    if form == BODY or not entry.title or entry.body.startswith(entry.title):
        return entry.body
    return f"{entry.title}\n{entry.body}" if entry.body else entry.title

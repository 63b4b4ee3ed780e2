"""Which relations look like turns with their sessions, and like knowledge bases, and how much. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shadowdiff.sources import words
from shadowdiff.sources.catalogue import Catalogue, Column, ForeignKey, Link, Relation

ID_WORDS = frozenset({"id", "uuid", "uid", "key", "guid", "ref", "pk", "ids"})
LIKE_TURNS = 3.0
LIKE_ENTRIES = 3.0
"""What is less like it than this is not proposed."""


@dataclass(frozen=True, slots=True)
class SessionsFit:
    """How the turns' sessions can be had."""

    score: float
    relation: Relation | None = None
    """None: sessions are derived from the turns."""
    link: str | None = None
    """The column of turns that names their session; None: each turn is a session of its own."""
    identity: str | None = None
    started: str | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """How a table of messages tells users from assistants."""

    column: str
    user: str
    """The value; `true` or `false` for a boolean."""
    assistant: str | None = None
    is_flag: bool = False
    is_assumed: bool = False
    """Whether no row was seen that says so."""


@dataclass(frozen=True, slots=True)
class TurnsFit:
    """A relation that may hold what users asked."""

    score: float
    relation: Relation
    identity: str
    query: str
    asked: str | None
    sessions: SessionsFit
    roles: Roles | None = None


@dataclass(frozen=True, slots=True)
class EntriesFit:
    """A relation that may hold the knowledge base."""

    score: float
    relation: Relation
    identity: str
    body: str


def size_bonus(relation: Relation) -> float:
    """Rows speak for a table; that it has none, or may not be read, against it."""
    if not relation.is_readable:
        return -3.0
    if relation.rows == 0:
        return -4.0
    return 0.2 * min(math.log10(relation.rows or 10), 6.0)


def identity(relation: Relation) -> str | None:
    """The column that tells rows apart, beside an org or a time that may be part of the key."""
    if len(relation.key) == 1:
        return relation.key[0]
    noun = words.words(relation.name)[-1:]
    found = [c for c in relation.columns if words.IDS.fullmatch(c.type) and _is_own_id(c.name, noun)]
    found.sort(key=lambda c: (c.name not in relation.key, c.name not in relation.unique, len(c.name)))
    return found[0].name if found else next(iter(sorted(relation.unique)), None)


def _is_own_id(name: str, noun: Sequence[str]) -> bool:
    found = words.words(name)
    return bool(found) and found[-1] in ID_WORDS and set(found[:-1]) <= set(noun)


def embedding(relation: Relation) -> Column | None:
    """The column that holds vectors: by pgvector's types, whatever it is called, else by name."""
    vectors = [c for c in relation.columns if c.type in {"vector", "halfvec"}]
    return words.best(vectors, words.EMBEDDING, words.VECTORS) or next(
        iter(vectors), words.best(relation.columns, words.EMBEDDING, words.VECTORS, {"model", "id", "version"})
    )


class Links:
    """What columns lead to: by foreign keys, and by names where a schema declares none."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[tuple[str, str], list[Link]] = {}
        self._by_noun: dict[str, list[Relation]] = defaultdict(list)
        for relation in catalogue.relations:
            for noun in words.words(relation.name)[-1:]:
                self._by_noun[noun].append(relation)

    def of(self, relation: Relation) -> list[Link]:
        """A relation's links to others."""
        if relation.where not in self._known:
            declared = [link for key in relation.foreign_keys if (link := self._declared(key))]
            taken = {link.column for link in declared}
            named = [self._named(relation, column) for column in relation.columns if column.name not in taken]
            found = [link for link in [*declared, *named] if link and link.target != relation]
            self._known[relation.where] = found
        return self._known[relation.where]

    def _declared(self, key: ForeignKey) -> Link | None:
        """A key of (org, id) leads by its id; others of several columns lead nowhere that a mapping could follow."""
        target = self._catalogue.by_where.get(key.target)
        pairs = list(zip(key.columns, key.target_columns, strict=True))
        own = [pair for pair in pairs if len(pairs) == 1 or words.org_rank(pair[1]) is None]
        return Link(own[0][0], target, own[0][1], is_declared=True) if target and len(own) == 1 else None

    def _named(self, relation: Relation, column: Column) -> Link | None:
        found = words.words(column.name)
        if len(found) < 2 or found[-1] not in ID_WORDS:
            return None
        noun = found[:-1]
        targets = [
            target
            for target in self._by_noun[noun[-1]]
            if words.words(target.name)[-len(noun) :] == noun and _meets(target, column)
        ]
        targets.sort(key=lambda t: (t.schema != relation.schema, t.kind == "view", len(t.name), -size_bonus(t)))
        own = identity(targets[0]) if targets else None
        return Link(column.name, targets[0], own, is_declared=False) if own else None


def _meets(target: Relation, column: Column) -> bool:
    own = identity(target)
    return own is not None and _family(target.by_name[own].type) == _family(column.type)


def _family(kind: str) -> str:
    if words.WHOLE_NUMBERS.fullmatch(kind):
        return "number"
    return "text" if words.TEXTS.fullmatch(kind) else kind


# -- Turns and their sessions -----------------------------------------------------------------------------------------


def turns_fits(catalogue: Catalogue, links: Links) -> list[TurnsFit]:
    """Every relation that has what turns need, the likeliest first."""
    fits = (_turns_fit(relation, catalogue, links) for relation in catalogue.relations)
    return sorted((fit for fit in fits if fit), key=lambda fit: (-fit.score, fit.relation.where))


def _turns_fit(relation: Relation, catalogue: Catalogue, links: Links) -> TurnsFit | None:
    query, own = query_column(relation), identity(relation)
    if query is None or own is None:
        return None
    asked = words.best(relation.columns, words.ASKED, words.TIMES, words.OTHER_TIMES)
    sessions = sessions_fits(relation, links, asked.name if asked else None)
    if not sessions:
        return None
    roles = roles_of(relation, catalogue)
    like = words.name_score(relation.name, words.TURN) - 0.5 * words.weight(relation.name, words.ENTRY)
    score = like + 0.5 * words.weight(query.name, words.QUERY) + 0.4 * sessions[0].score + size_bonus(relation)
    score += (1.0 if asked else 0.0) + (1.0 if roles else 0.0) - (1.0 if relation.kind == "view" else 0.0)
    return TurnsFit(score, relation, own, query.name, asked.name if asked else None, sessions[0], roles)


def query_column(relation: Relation) -> Column | None:
    """The column that holds what the user typed."""
    shunned = words.NOT_TEXT | set(words.SEARCH_QUERY) - {"search"}
    plain = words.best(relation.columns, words.QUERY, words.TEXTS, shunned)
    return plain or words.best(relation.columns, words.QUERY, words.TEXTS, words.NOT_TEXT)


def sessions_fits(relation: Relation, links: Links, asked: str | None) -> list[SessionsFit]:
    """The ways to sessions of a relation of turns, the likeliest first; none where nothing says when."""
    fits = [fit for link in links.of(relation) if (fit := _linked_sessions(link, asked))]
    if asked is not None:
        fits += [_derived(relation, column) for column in relation.columns if _is_session_key(relation, column)]
        fits.append(SessionsFit(0.0))
    return sorted(fits, key=lambda fit: -fit.score)


def _linked_sessions(link: Link, asked: str | None) -> SessionsFit | None:
    target = link.target
    called = words.name_score(target.name, words.SESSION)
    named = words.weight(link.column, words.SESSION)
    started = words.best(target.columns, words.STARTED, words.TIMES, words.OTHER_TIMES)
    if (called <= 0 and not named) or started is None:
        return None
    extra = len(words.words(target.name)) - 1
    score = called + 0.5 * named + (2.0 if link.is_declared else -0.5 * extra) + size_bonus(target)
    is_login = len(words.LOGIN.intersection(word for c in target.columns for word in words.words(c.name))) > 1
    score -= 5.0 if is_login and not link.is_declared else 0.0
    score -= 0.0 if asked else 0.5
    return SessionsFit(score, target, link.column, link.target_column, started.name)


def _derived(relation: Relation, column: Column) -> SessionsFit:
    return SessionsFit(1.0 + 0.5 * words.weight(column.name, words.SESSION_KEY), None, column.name)


def _is_session_key(relation: Relation, column: Column) -> bool:
    found = words.words(column.name)
    own = column.name == identity(relation) or not words.IDS.fullmatch(column.type)
    noun = [word for word in found if word not in ID_WORDS]
    return not own and len(noun) == 1 and noun[0] in words.SESSION_KEY


def roles_of(relation: Relation, catalogue: Catalogue) -> Roles | None:
    """How the relation tells users from assistants; None where it does not."""
    for column in relation.columns:
        if words.BOOLEANS.fullmatch(column.type) and (flag := _flag(column.name)):
            return flag
    named = words.best(relation.columns, words.ROLE, words.TEXTS, {"id"})
    return _spoken(relation, named, catalogue) if named else None


def _spoken(relation: Relation, column: Column, catalogue: Catalogue) -> Roles | None:
    values = sorted(catalogue.values_of(relation, column.name))
    user, assistant = _speaker(values, words.USER_VALUES), _speaker(values, words.ASSISTANT_VALUES)
    if user is not None:
        return Roles(column.name, user, assistant)
    if values or words.weight(column.name, words.ROLE) < 3.5:
        return None
    return Roles(column.name, "user", "assistant", is_assumed=True)


def _flag(name: str) -> Roles | None:
    found = words.words(name)
    if not found or found[0] not in {"is", "from", "by"} or len(found) > 3:
        return None
    if found[-1] in words.USER_VALUES:
        return Roles(name, "true", "false", is_flag=True)
    return Roles(name, "false", "true", is_flag=True) if found[-1] in words.ASSISTANT_VALUES else None


def _speaker(values: Sequence[str], known: frozenset[str]) -> str | None:
    exact = [value for value in values if value.lower() in known]
    return next(iter([*exact, *(value for value in values if known.intersection(words.words(value)))]), None)


# -- Entries ----------------------------------------------------------------------------------------------------------


def entries_fits(catalogue: Catalogue, referred: frozenset[tuple[str, str]], nouns: Sequence[str]) -> list[EntriesFit]:
    """Every relation that has what entries need, the likeliest first.

    `referred` are relations that a pool or served list leads to; `nouns`, words
    of the keys by which JSON lists name their entries.
    """
    fits = (_entries_fit(relation, referred, nouns) for relation in catalogue.relations)
    return sorted((fit for fit in fits if fit), key=lambda fit: (-fit.score, fit.relation.where))


def _entries_fit(relation: Relation, referred: frozenset[tuple[str, str]], nouns: Sequence[str]) -> EntriesFit | None:
    body, own = body_column(relation), identity(relation)
    if body is None or own is None:
        return None
    score = words.name_score(relation.name, words.ENTRY) - 0.7 * words.weight(relation.name, words.TURN)
    score += 0.25 * words.weight(body.name, words.BODY) + size_bonus(relation)
    score += 2.0 if embedding(relation) else 0.0
    score += 5.0 if relation.where in referred else 0.0
    score += 2.0 if set(nouns).intersection(words.words(relation.name)) else 0.0
    return EntriesFit(score, relation, own, body.name)


def body_column(relation: Relation) -> Column | None:
    """The column that holds an entry's text."""
    return words.best(relation.columns, words.BODY, words.TEXTS, words.NOT_TEXT - {"answer"} | {"title"})

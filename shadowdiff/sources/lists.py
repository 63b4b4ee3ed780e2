"""Which tables, and which JSON and array columns, look like a turn's pool or what it was served. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from shadowdiff.sources import words
from shadowdiff.sources.catalogue import Catalogue, Column, Link, ListShape, Relation
from shadowdiff.sources.likeness import ID_WORDS, Links, TurnsFit, identity

LIKE_A_LIST = 1.5
"""What is less like it than this is not proposed."""
NEVER_LISTS = frozenset({"embedding", "vector", "score", "tag", "token", "attachment", "tool", "call", "feedback"})


@dataclass(frozen=True, slots=True)
class Condition:
    """Which rows of a relation belong to a list."""

    column: str
    kind: Literal["is true", "is not null", "equals"]
    value: str = ""


@dataclass(frozen=True, slots=True)
class RowsFit:
    """A relation that may hold a turn's entries, one per row."""

    score: float
    relation: Relation
    turn: str
    entry: str
    target: Relation | None
    """What the entry's column leads to, where that is known."""
    target_column: str | None = None
    rank: str | None = None
    scored: str | None = None
    where: Condition | None = None
    is_of_answer: bool = False
    """Whether rows belong to the assistant's message, not to the user's."""

    @property
    def label(self) -> str:
        """As a person writes it."""
        return self.relation.label


@dataclass(frozen=True, slots=True)
class ColumnFit:
    """A JSON or array column of turns that may hold a turn's entries."""

    score: float
    relation: Relation
    column: Column
    path: str | None = None
    """Key of the object that holds the list."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of the objects in the list, by what they hold."""
    sample: str = ""
    """The beginning of one entry's id, where one was seen."""
    is_of_answer: bool = False

    @property
    def label(self) -> str:
        """As a person writes it."""
        within = f".{self.path}" if self.path else ""
        return f"{self.relation.label}.{self.column.name}{within}"


ListFit = RowsFit | ColumnFit


def list_fits(part: str, turns: TurnsFit, catalogue: Catalogue, links: Links) -> list[ListFit]:
    """What may hold the pool, or what was served, the likeliest first."""
    found: list[ListFit] = list(_columns(part, turns, catalogue))
    for relation in catalogue.relations:
        if relation not in (turns.relation, turns.sessions.relation):
            found += _rows(part, relation, turns, catalogue, links)
    return sorted(found, key=lambda fit: (-fit.score, fit.label))


def _weight(part: str, name: str) -> float:
    """How strongly a name speaks for this list and not for the other."""
    pool, served = words.weight(name, words.POOL), words.weight(name, words.SERVED)
    return served if part == "served" else pool - 0.8 * served


# -- Tables of their own ----------------------------------------------------------------------------------------------


def _rows(part: str, relation: Relation, turns: TurnsFit, catalogue: Catalogue, links: Links) -> Iterator[RowsFit]:
    to_turn = _turn_column(relation, turns, links)
    entry = _entry_column(relation, to_turn, turns, links)
    if to_turn is None or entry is None:
        return
    rank = words.best(relation.columns, words.RANK, words.NUMBERS, words.SERVED)
    scored = words.best(relation.columns, words.SCORE, words.NUMBERS, words.SERVED)
    roles = catalogue.linked_roles.get((*relation.where, to_turn), frozenset())
    base = RowsFit(
        score=_weight(part, relation.name) + (0.5 if rank else 0.0) - (1.0 if relation.rows == 0 else 0.0),
        relation=relation,
        turn=to_turn,
        entry=entry[0],
        target=entry[1].target if entry[1] else None,
        target_column=entry[1].target_column if entry[1] else None,
        rank=rank.name if rank else None,
        scored=scored.name if scored else None,
        is_of_answer=bool(turns.roles and roles and turns.roles.user not in roles and turns.roles.assistant in roles),
    )
    yield from _served_rows(base, catalogue) if part == "served" else _pool_rows(base, catalogue)


def _pool_rows(base: RowsFit, catalogue: Catalogue) -> Iterator[RowsFit]:
    """A relation that leads to turns and entries holds pools, unless its name says that it was served."""
    name = base.relation.name
    unnamed = 2.0 if not words.weight(name, words.SERVED) and not words.weight(name, words.POOL) else 1.0
    yield replace(base, score=base.score + unnamed, where=_stage(base.relation, "pool", catalogue))


def _served_rows(base: RowsFit, catalogue: Catalogue) -> Iterator[RowsFit]:
    """A relation named so; or rows that a flag, a stage or a second rank marks as served."""
    if words.weight(base.relation.name, words.SERVED):
        yield base
    marked = base.score + 2.5
    for column in base.relation.columns:
        if words.weight(column.name, words.SERVED) < 2:
            continue
        if words.NUMBERS.fullmatch(column.type) and words.weight(column.name, words.RANK):
            where = Condition(column.name, "is not null")
            yield replace(base, score=marked + 0.5, rank=column.name, scored=None, where=where)
        if words.BOOLEANS.fullmatch(column.type):
            yield replace(base, score=marked, where=Condition(column.name, "is true"))
    stage = _stage(base.relation, "served", catalogue)
    if stage:
        yield replace(base, score=marked, where=stage)


def _stage(relation: Relation, part: str, catalogue: Catalogue) -> Condition | None:
    """The value of a stage column that stands for this list, where there is one for each of the two."""
    column = words.best(relation.columns, words.STAGE, words.TEXTS)
    values = sorted(catalogue.values_of(relation, column.name)) if column else []
    ranked = {name: max(values, key=lambda value: _weight(name, value), default="") for name in ("pool", "served")}
    if column is None or any(_weight(name, value) <= 0 for name, value in ranked.items()):
        return None
    return Condition(column.name, "equals", ranked[part])


def _turn_column(relation: Relation, turns: TurnsFit, links: Links) -> str | None:
    leading = [link for link in links.of(relation) if link.target == turns.relation]
    leading.sort(key=lambda link: (not link.is_declared, link.target_column != turns.identity))
    return leading[0].column if leading and leading[0].target_column == turns.identity else None


def _entry_column(
    relation: Relation, to_turn: str | None, turns: TurnsFit, links: Links
) -> tuple[str, Link | None] | None:
    """The column that names the entry: one that leads to what may be entries, else one that is named so."""
    others = [
        link
        for link in links.of(relation)
        if link.column != to_turn and link.target not in (turns.relation, turns.sessions.relation)
    ]
    likely = [(words.weight(f"{link.column}_{link.target.name}", words.ENTRY), link) for link in others]
    likely = [item for item in likely if item[0] > 0]
    if likely:
        link = max(likely, key=lambda item: item[0])[1]
        return link.column, link
    shunned = {"title", "body", "text", "content", "url", "type"}
    free = [column for column in relation.columns if column.name not in {to_turn, identity(relation)}]
    named = words.best(free, words.ENTRY | {"id": 0.0}, words.IDS, shunned)
    return (named.name, None) if named and ID_WORDS.intersection(words.words(named.name)) else None


# -- Columns of turns -------------------------------------------------------------------------------------------------


def _columns(part: str, turns: TurnsFit, catalogue: Catalogue) -> Iterator[ColumnFit]:
    for column in turns.relation.columns:
        if NEVER_LISTS.intersection(words.words(column.name)):
            continue
        if words.ID_ARRAYS.fullmatch(column.type):
            yield ColumnFit(_list_weight(part, column.name), turns.relation, column)
        elif words.JSONS.fullmatch(column.type):
            yield from _json_columns(part, turns, column, catalogue.shapes_of(turns.relation, column.name))


def _list_weight(part: str, name: str) -> float:
    """Ids of entries are a pool, whatever the column is called."""
    named = words.weight(name, words.ENTRY) if part == "pool" and not words.weight(name, words.SERVED) else 0.0
    return max(_weight(part, name), 0.7 * named)


def _json_columns(part: str, turns: TurnsFit, column: Column, shapes: Sequence[ListShape]) -> Iterator[ColumnFit]:
    if not shapes:
        yield ColumnFit(_list_weight(part, column.name) - 0.5, turns.relation, column)
        return
    lists = [shape for shape in shapes if shape.is_list]
    for path in dict.fromkeys(shape.path for shape in lists):
        alike = [shape for shape in lists if shape.path == path]
        fit = _json_list(part, turns, column, path, alike)
        if fit is not None:
            yield fit


def _json_list(
    part: str, turns: TurnsFit, column: Column, path: str | None, shapes: Sequence[ListShape]
) -> ColumnFit | None:
    keys = _keys(shapes)
    if keys is None:
        return None
    sample = next(
        (held[1] for shape in shapes if (held := shape.fields.get(keys.get("entry_id", "")))),
        "",
    )
    roles = {shape.role for shape in shapes}
    of_answer = bool(turns.roles and turns.roles.assistant in roles and turns.roles.user not in roles)
    name = column.name if path is None else path
    known = {what: key for what, key in keys.items() if key != what and (what, key) != ("entry_id", "id")}
    return ColumnFit(_list_weight(part, name), turns.relation, column, path, known, sample, of_answer)


def _keys(shapes: Sequence[ListShape]) -> dict[str, str] | None:
    """Which key of the items holds what; nothing for plain ids, None where no id is to be seen."""
    items = [shape for shape in shapes if shape.item in {"object", "string", "number"} and not _is_fraction(shape)]
    fields = {key: held for shape in items if shape.item == "object" for key, held in shape.fields.items()}
    if not items:
        return None
    if not fields:
        return {}
    own = _id_key(fields)
    if own is None:
        return None
    found = {"entry_id": own}
    for what, weights, kinds in (
        ("score", words.SCORE, {"number"}),
        ("title", words.TITLE, {"string"}),
        ("body", words.BODY, {"string"}),
    ):
        usable = [key for key, (kind, _) in fields.items() if kind in kinds and words.weight(key, weights) >= 2.5]
        usable = [key for key in usable if key != own and not (what == "score" and "distance" in words.words(key))]
        if usable:
            found[what] = max(usable, key=lambda key: (words.weight(key, weights), -len(words.words(key))))
    return found


def _is_fraction(shape: ListShape) -> bool:
    """Whether the items are scores or the like: an id has no decimal point."""
    return shape.item == "number" and "." in shape.fields.get("", ("", ""))[1]


def _id_key(fields: Mapping[str, tuple[str, str]]) -> str | None:
    ranked = [(_id_weight(key, kind), key) for key, (kind, _) in fields.items() if kind in {"string", "number"}]
    return max(ranked)[1] if ranked and max(ranked)[0] > 0 else None


def _id_weight(key: str, kind: str) -> float:
    """`doc_id` before `id` before `doc`; a number called `page` is more likely one of many of a document."""
    found = words.words(key)
    if not found:
        return 0.0
    named = words.weight(key, words.ENTRY)
    if found[-1] in ID_WORDS:
        return 2.0 + (named if len(found) > 1 else 1.0) - (3.0 if len(found) > 1 and not named else 0.0)
    return 0.5 * named if len(found) == 1 and named >= (2 if kind == "string" else 3) else 0.0


def entry_nouns(fits: Sequence[ListFit | None]) -> tuple[str, ...]:
    """Words of the keys and columns by which lists name their entries."""
    names = []
    for fit in fits:
        if isinstance(fit, ColumnFit):
            names += [fit.keys.get("entry_id", ""), fit.column.name, fit.path or ""]
        elif fit is not None:
            names.append(fit.entry)
    return tuple({word for name in names for word in words.words(name) if word in words.ENTRY})


def referred(fits: Sequence[ListFit | None]) -> frozenset[tuple[str, str]]:
    """The relations to which lists lead."""
    return frozenset(fit.target.where for fit in fits if isinstance(fit, RowsFit) and fit.target is not None)

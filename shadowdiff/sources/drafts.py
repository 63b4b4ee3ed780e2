"""The SQL of a proposed mapping: plain columns outside, so that Postgres pushes filters down to indexes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shadowdiff.sources import words
from shadowdiff.sources.catalogue import Link, Relation, identifier, literal
from shadowdiff.sources.likeness import EntriesFit, Roles, SessionsFit, TurnsFit, embedding
from shadowdiff.sources.lists import ColumnFit, Condition, ListFit, RowsFit
from shadowdiff.sources.orgs import OrgPath

Where = tuple[str, str]
"""Schema and name of a relation."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One part, proposed."""

    sql: str
    reads: tuple[Where, ...]
    """What its role must be able to select from."""
    told: str
    """What it is, in a few words; names of the database stand in it as they are."""
    notes: tuple[str, ...] = ()
    """What a person should know about it."""


def select(columns: Sequence[tuple[str, str]], relation: Relation, alias: str, rest: Sequence[str] = ()) -> str:
    """`SELECT a.x AS y, … FROM relation AS a …`, a line for each."""
    spelled = ",\n       ".join(f"{expression} AS {name}" for name, expression in columns)
    return "\n".join((f"SELECT {spelled}", f"  FROM {relation.sql} AS {alias}", *rest))


def of(alias: str, column: str) -> str:
    """A column of an alias."""
    return f"{alias}.{identifier(column)}"


def _joined(path: OrgPath | Link | None, alias: str, other: str) -> list[str]:
    """The join that a path needs. A row that leads nowhere is kept where the link may be null or is not declared."""
    link = path.via if isinstance(path, OrgPath) else path
    if link is None:
        return []
    on = f"{of(other, link.target_column)} = {of(alias, link.column)}"
    return [f"  LEFT JOIN {link.target.sql} AS {other} ON {on}"]


def _via(path: OrgPath | None) -> tuple[Where, ...]:
    return (path.via.target.where,) if path and path.via else ()


def sessions_draft(fit: SessionsFit, turns: TurnsFit, org: OrgPath | None) -> Draft:
    """Sessions from their table, or derived from turns."""
    if fit.relation is None:
        return _derived_sessions(fit, turns, org)
    org_column = [("org_id", of("owner" if org.via else "session", org.column))] if org else []
    columns = [
        ("session_id", of("session", str(fit.identity))),
        *org_column,
        ("started_at", of("session", str(fit.started))),
    ]
    tags = words.best(fit.relation.columns, words.TAGS, words.JSONS)
    columns += [("tags", of("session", tags.name))] if tags and words.weight(tags.name, words.TAGS) >= 4 else []
    sql = select(columns, fit.relation, "session", _joined(org, "session", "owner"))
    notes = _index_notes(fit.relation, {str(fit.started): "the newest sessions are found by it"})
    return Draft(sql, (fit.relation.where, *_via(org)), fit.relation.label, notes)


def _derived_sessions(fit: SessionsFit, turns: TurnsFit, org: OrgPath | None) -> Draft:
    key, org_sql = fit.link or turns.identity, of("owner" if org and org.via else "turn", org.column) if org else None
    org_column = [("org_id", org_sql)] if org_sql else []
    asked = of("turn", str(turns.asked))
    started = asked if fit.link is None else f"min({asked})"
    columns = [("session_id", of("turn", key)), *org_column, ("started_at", started)]
    conditions = [*([f"{of('turn', key)} IS NOT NULL"] if fit.link else []), *_user_only(turns)]
    rest = [*_joined(org, "turn", "owner"), *_where(conditions)]
    if fit.link is None:
        notes = ["No column groups turns into sessions: each turn is a session of its own."]
        notes += _index_notes(turns.relation, {str(turns.asked): "the newest sessions are found by it"})
    else:
        grouped = ", ".join([of("turn", key), *([org_sql] if org_sql else [])])
        rest.append(f"  GROUP BY {grouped}")
        notes = [
            f"There is no table of sessions: grouping by {key} reads all of {turns.relation.label} each time.",
            "A materialized view with an index on started_at, or a table of sessions, is better: name it here instead.",
        ]
    told = f"{turns.relation.label}, " + (f"grouped by {fit.link}" if fit.link else "one session per turn")
    return Draft(select(columns, turns.relation, "turn", rest), (turns.relation.where, *_via(org)), told, tuple(notes))


def _where(conditions: Sequence[str]) -> list[str]:
    return [
        f"  {word} {condition}"
        for word, condition in zip(["WHERE", *["  AND"] * len(conditions)], conditions, strict=False)
    ]


def _user_only(turns: TurnsFit) -> list[str]:
    return [_speaks(turns.roles, "turn", turns.roles.user)] if turns.roles else []


def _speaks(roles: Roles, alias: str, value: str) -> str:
    column = of(alias, roles.column)
    if roles.is_flag:
        return column if value == "true" else f"NOT {column}"
    return f"{column} = {literal(value)}"


def turns_draft(turns: TurnsFit, lists: Mapping[str, ListFit]) -> Draft:
    """Turns, with the lists that stand in columns of theirs or of the answer that follows."""
    relation, fit = turns.relation, turns.sessions
    session = of("turn", fit.link or turns.identity)
    columns = [("session_id", session), ("turn_id", of("turn", turns.identity)), ("query", of("turn", turns.query))]
    columns += [("asked_at", of("turn", turns.asked) if turns.asked else of("session", str(fit.started)))]
    columns += _optional(turns)
    held = {name: list_ for name, list_ in lists.items() if isinstance(list_, ColumnFit)}
    columns += [(name, _listed(list_)) for name, list_ in held.items()]
    rest = _session_join(fit) if turns.asked is None else []
    if needs_answer(turns, held):
        columns.append(("answer", of("answer", turns.query)))
        rest += answer_join(turns, [turns.query, *(fit.column.name for fit in held.values() if fit.is_of_answer)])
    reads = (relation.where, *([] if turns.asked or not fit.relation else [fit.relation.where]))
    told = relation.label + (f" where {turns.roles.column} = {turns.roles.user}" if turns.roles else "")
    why = {fit.link: "turns are looked up by it"} if fit.link else {}
    sql = select(columns, relation, "turn", [*rest, *_where(_user_only(turns))])
    return Draft(sql, reads, told, (*_role_notes(turns), *_index_notes(relation, why)))


def _role_notes(turns: TurnsFit) -> list[str]:
    if turns.roles is None or not turns.roles.is_assumed:
        return []
    return [f"Assumed: {turns.roles.column} is {turns.roles.user!r} where a user speaks; no row was seen."]


def _session_join(fit: SessionsFit) -> list[str]:
    if fit.relation is None:
        return []
    on = f"{of('session', str(fit.identity))} = {of('turn', str(fit.link))}"
    return [f"  JOIN {fit.relation.sql} AS session ON {on}"]


def _optional(turns: TurnsFit) -> list[tuple[str, str]]:
    columns, taken = turns.relation.columns, {turns.query, turns.identity, turns.sessions.link}
    free = [column for column in columns if column.name not in taken]
    shunned = words.NOT_TEXT - {"answer", "response", "reply", "model"}
    vectors = embedding(turns.relation)
    by = words.best(free, words.SERVED_BY, words.TEXTS, {"id"})
    searched = words.best(free, words.SEARCH_QUERY, words.TEXTS, shunned)
    searched = searched if searched and words.is_search_query(searched.name) else None
    position = words.best(free, words.POSITION, words.WHOLE_NUMBERS, {"id", "count", *words.SERVED})
    answer = None if turns.roles else words.best(free, words.ANSWER, words.TEXTS, shunned | {"model"})
    found = {"position": position, "search_query": searched, "query_embedding": vectors, "answer": answer}
    found["served_by"] = by
    return [(name, of("turn", column.name)) for name, column in found.items() if column]


def _listed(fit: ColumnFit) -> str:
    column = of("answer" if fit.is_of_answer else "turn", fit.column.name)
    if fit.path is None:
        return column
    return f"{column} -> {literal(fit.path)}"


def needs_answer(turns: TurnsFit, held: dict[str, ColumnFit]) -> bool:
    """Whether the answer has to be looked up: for a list in it, or because that is cheap."""
    if turns.roles is None or turns.roles.assistant is None or turns.sessions.link is None or turns.asked is None:
        return False
    return turns.sessions.link in turns.relation.indexed or any(fit.is_of_answer for fit in held.values())


def answer_join(turns: TurnsFit, wanted: Sequence[str]) -> list[str]:
    """The assistant's message that follows the user's, if the next message is one. Times may be equal."""
    roles, asked, link = turns.roles, str(turns.asked), str(turns.sessions.link)
    if roles is None or roles.assistant is None:
        return []
    spoken = "" if roles.is_flag else f"\n            AND {_either(roles, roles.assistant)}"
    selected = ", ".join(of("next", name) for name in dict.fromkeys([*wanted, roles.column]))
    return [
        f"  LEFT JOIN LATERAL (\n         SELECT {selected}",
        f"           FROM {turns.relation.sql} AS next",
        f"          WHERE {of('next', link)} = {of('turn', link)}",
        f"            AND {of('next', turns.identity)} <> {of('turn', turns.identity)}",
        f"            AND {of('next', asked)} >= {of('turn', asked)}{spoken}",
        f"          ORDER BY {of('next', asked)}, {_speaks(roles, 'next', roles.user)}",
        f"          LIMIT 1) AS answer ON {_speaks(roles, 'answer', roles.assistant)}",
    ]


def _either(roles: Roles, assistant: str) -> str:
    return f"{of('next', roles.column)} IN ({literal(roles.user)}, {literal(assistant)})"


def expanded_draft(fit: ColumnFit, turns: TurnsFit) -> Draft:
    """A list in a JSON column as rows, for one whose keys are not those of the other list."""
    column = f"CAST({_listed(fit)} AS jsonb)"
    key = f"item.value ->> {literal(fit.keys.get('entry_id', 'id'))}"
    columns = [("turn_id", of("turn", turns.identity)), ("entry_id", key), ("rank", "item.place")]
    columns += (
        [("score", f"CAST(item.value ->> {literal(fit.keys['score'])} AS float8)")] if "score" in fit.keys else []
    )
    expansion = [
        f"  CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof({column}) WHEN 'array' THEN {column} END)",
        "       WITH ORDINALITY AS item (value, place)",
    ]
    joins = answer_join(turns, [fit.column.name]) if fit.is_of_answer else []
    sql = select(columns, turns.relation, "turn", [*joins, *expansion, *_where(_user_only(turns))])
    return Draft(sql, (turns.relation.where,), fit.label)


def list_draft(fit: RowsFit, turns: TurnsFit) -> Draft:
    """A pool or served list from a table of its own."""
    turn = of("turn", turns.identity) if fit.is_of_answer else of("listed", fit.turn)
    columns = [("turn_id", turn), ("entry_id", of("listed", fit.entry)), ("rank", _rank(fit, turn))]
    if fit.scored and "distance" not in words.words(fit.scored):
        columns.append(("score", of("listed", fit.scored)))
    conditions = _conditions(fit.where)
    if not fit.is_of_answer:
        sql = select(columns, fit.relation, "listed", _where(conditions))
        reads: tuple[Where, ...] = (fit.relation.where,)
    else:
        join = f"  JOIN {fit.relation.sql} AS listed ON {of('listed', fit.turn)} = {of('answer', turns.identity)}"
        rest = [*answer_join(turns, [turns.identity]), join, *_where([*_user_only(turns), *conditions])]
        sql = select(columns, turns.relation, "turn", rest)
        reads = (fit.relation.where, turns.relation.where)
    notes = _index_notes(fit.relation, {fit.turn: "lists are looked up by it"})
    notes += () if fit.rank or fit.scored else ("No column says in which order: they stand in the order of their ids.",)
    return Draft(sql, reads, fit.label + _told(fit.where), notes)


def _rank(fit: RowsFit, turn: str) -> str:
    """The rank as it stands, else by score within the turn, which still lets a filter on the turn through."""
    if fit.rank:
        return of("listed", fit.rank)
    if fit.scored:
        down = "" if "distance" in words.words(fit.scored) else " DESC NULLS LAST"
        order = of("listed", fit.scored) + down
    else:
        order = of("listed", next(iter(fit.relation.key), fit.entry))
    return f"row_number() OVER (PARTITION BY {turn} ORDER BY {order})"


def _conditions(where: Condition | None) -> list[str]:
    if where is None:
        return []
    column = of("listed", where.column)
    spelled = {
        "is true": column,
        "is not null": f"{column} IS NOT NULL",
        "equals": f"{column} = {literal(where.value)}",
    }
    return [spelled[where.kind]]


def _told(where: Condition | None) -> str:
    return f" where {where.column} {where.kind} {where.value}".rstrip() if where else ""


def entries_draft(fit: EntriesFit, org: OrgPath | None, parent: Link | None) -> Draft:
    """Entries; title and org from what they belong to where they have none of their own."""
    relation = fit.relation
    columns = [("entry_id", of("entry", fit.identity))]
    columns += [("org_id", of("owner" if org.via else "entry", org.column))] if org else []
    title, from_parent = _title(fit, parent)
    columns += [("title", title)] if title else []
    columns.append(("body", of("entry", fit.body)))
    updated = words.best(relation.columns, words.UPDATED, words.TIMES)
    columns += [("updated_at", of("entry", updated.name))] if updated else []
    vectors = embedding(relation)
    columns += [("embedding", of("entry", vectors.name))] if vectors else []
    joins = _joined(org, "entry", "owner")
    if from_parent and parent:
        joins += _joined(parent, "entry", "parent")
    reads = (relation.where, *_via(org), *((parent.target.where,) if from_parent and parent else ()))
    why = {fit.identity: "entries are looked up by it"}
    return Draft(select(columns, relation, "entry", joins), reads, relation.label, _index_notes(relation, why))


def _title(fit: EntriesFit, parent: Link | None) -> tuple[str | None, bool]:
    own = words.best(
        [column for column in fit.relation.columns if column.name != fit.body],
        words.TITLE,
        words.TEXTS,
        {"file", "path"},
    )
    if own:
        return of("entry", own.name), False
    above = words.best(parent.target.columns, words.TITLE, words.TEXTS) if parent else None
    return (of("parent", above.name), True) if above else (None, False)


def _index_notes(relation: Relation, why: dict[str, str]) -> tuple[str, ...]:
    if relation.kind not in {"table", "partitioned table", "materialized view"}:
        return ()
    return tuple(
        f"No index of {relation.label} starts with {column}, and {reason}: CREATE INDEX CONCURRENTLY ON "
        f"{relation.sql} ({identifier(column)});"
        for column, reason in why.items()
        if column not in relation.indexed
    )

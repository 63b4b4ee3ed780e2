"""From a catalogue to a proposed mapping, with what is missing and what else could be meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from shadowdiff.config import SOURCE_PARTS, SourceSettings
from shadowdiff.errors import ConfigError
from shadowdiff.sources import words
from shadowdiff.sources.catalogue import Catalogue, Relation
from shadowdiff.sources.drafts import (
    Draft,
    entries_draft,
    expanded_draft,
    list_draft,
    sessions_draft,
    turns_draft,
)
from shadowdiff.sources.likeness import (
    LIKE_ENTRIES,
    LIKE_TURNS,
    EntriesFit,
    Links,
    SessionsFit,
    TurnsFit,
    embedding,
    entries_fits,
    sessions_fits,
    turns_fits,
)
from shadowdiff.sources.lists import LIKE_A_LIST, ColumnFit, ListFit, RowsFit, entry_nouns, list_fits, referred
from shadowdiff.sources.orgs import OrgPath, agreed, org_paths
from shadowdiff.sources.stores import HIDDEN, PresetFit, phoenix_schema, preset_entries

NONE = "none"
"""What a person says who wants a part left out."""
OWN = "shadowdiff"
OPTIONS_SHOWN = 8
LISTS = ("pool", "served")
EACH_TURN = "each turn"
LACKS = {
    "turns": "turns need an id, a text and a time",
    "sessions": "sessions need a time, and turns must lead to them",
    "pool": "a pool must lead to turns and name entries",
    "served": "a served list must lead to turns and name entries",
    "entries": "entries need an id and a text",
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person has settled; None: whatever looks likeliest. Tables as `name` or `schema.name`."""

    presets: tuple[str, ...] | None = None
    """Empty: no preset, even where one fits."""
    sessions: str | None = None
    turns: str | None = None
    pool: str | None = None
    served: str | None = None
    entries: str | None = None
    org: str | None = None
    timezone: str | None = None

    def settling(self, part: str, choice: str) -> Choices:
        """The choices with one more settled: a part, or `org`."""
        settled: dict[str, Any] = {part: choice}
        return replace(self, **settled)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping, and how sure one can be of it."""

    presets: tuple[str, ...] = ()
    parts: Mapping[str, Draft] = field(default_factory=dict)
    """The parts that no preset gives, in the order of SOURCE_PARTS."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    identifiers: Mapping[str, str] = field(default_factory=dict)
    json_keys: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    """Set where some time is stored without a zone."""
    missing: tuple[str, ...] = ()
    """What the database does not seem to have, and what that means."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What could be meant, by part and for `org`."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """Which of the options it is, by part and for `org`; absent: none."""
    has: frozenset[str] = frozenset()
    """Of pool, served and embeddings: what can be had."""

    @property
    def is_usable(self) -> bool:
        """Whether sessions and turns are mapped at all."""
        return "turns" in self.chosen

    @property
    def baseline(self) -> str:
        """Side A: what production did, if that was recorded, else what the database can give."""
        if "served" in self.has:
            return "served"
        return "cosine" if "embeddings" in self.has else "bm25"

    @property
    def pool_from(self) -> str | None:
        """Where pools must come from; None: they are recorded."""
        if "pool" in self.has:
            return None
        return "cosine" if "embeddings" in self.has else "bm25"

    def settings(self, without: Iterable[str] = ()) -> SourceSettings:
        """As `[source]` would say it, without some of the parts."""
        left_out = set(without)
        return SourceSettings(
            presets=self.presets,
            parts={part: draft.sql for part, draft in self.parts.items() if part not in left_out},
            timezone=self.timezone,
            parameters=self.parameters,
            identifiers=self.identifiers,
            json_keys=self.json_keys,
        )


def propose(catalogue: Catalogue, choices: Choices, presets: Mapping[str, frozenset[str]]) -> Proposal:
    """The likeliest mapping under these choices. `presets` are those there are, with the parts that they map.

    Raises ConfigError for a choice that is not there, or cannot be what it was chosen for.
    """
    return _Proposing(catalogue, choices, presets).proposal()


class _Proposing:
    """One proposal in the making."""

    def __init__(self, catalogue: Catalogue, choices: Choices, presets: Mapping[str, frozenset[str]]) -> None:
        self._catalogue = catalogue
        self._choices = choices
        self._known = presets
        self._links = Links(catalogue)
        self._options: dict[str, tuple[str, ...]] = {}
        self._chosen: dict[str, str] = {}
        self._missing: list[str] = []
        self._made = Proposal()
        self._covered: frozenset[str] = frozenset()
        """Parts that the presets map."""

    def proposal(self) -> Proposal:
        """All of it."""
        every = turns_fits(self._catalogue, self._links)
        presets = self._presets(every)
        self._made = Proposal(presets=presets)
        self._covered = frozenset[str]().union(*(self._known[name] for name in presets))
        if "turns" in self._covered:
            self._by_preset()
        elif (turns := self._turns(every)) is not None:
            self._by_tables(replace(turns, sessions=self._sessions(turns)))
        else:
            self._missing.append(MISSING["turns"])
            self._add_entries([], [])
        return self._finished()

    def _finished(self) -> Proposal:
        parts = {part: self._made.parts[part] for part in SOURCE_PARTS if part in self._made.parts}
        return replace(
            self._made,
            parts=parts,
            missing=tuple(self._missing),
            options=self._options,
            chosen=self._chosen,
            timezone=self._made.timezone or self._choices.timezone,
        )

    # -- By a preset

    def _presets(self, turns: Sequence[TurnsFit]) -> tuple[str, ...]:
        if self._choices.presets is not None:
            return self._choices.presets
        if "phoenix" in self._known and phoenix_schema(self._catalogue) and self._choices.turns is None:
            return ("phoenix",)
        fits = bool(turns) and turns[0].score >= LIKE_TURNS
        own = self._catalogue.own_sessions
        return (OWN,) if own is not None and (own or not self._catalogue.relations) and not fits else ()

    def _by_preset(self) -> None:
        told = f"preset {'+'.join(self._made.presets)}"
        self._chosen |= {part: told for part in SOURCE_PARTS if part in self._covered}
        embeddings = {"embeddings"} if OWN in self._made.presets else set()
        schema = phoenix_schema(self._catalogue) if "phoenix" in self._made.presets else None
        elsewhere = {"schema": schema} if schema not in (None, "public") else {}
        # A preset's pools and served lists may stand in its turns.
        has = frozenset({"pool", "served"} | embeddings)
        self._made = replace(self._made, has=has, identifiers=elsewhere)
        if "entries" not in self._covered or self._choices.entries:
            self._add_entries([], [])

    # -- By tables

    def _turns(self, every: Sequence[TurnsFit]) -> TurnsFit | None:
        labels = [fit.relation.label for fit in every]
        return self._pick("turns", every, labels, [fit.score >= LIKE_TURNS for fit in every])

    def _sessions(self, turns: TurnsFit) -> SessionsFit:
        fits = sessions_fits(turns.relation, self._links, turns.asked)
        labels = [_sessions_label(fit) for fit in fits]
        if self._choices.sessions == NONE:
            labels = [NONE if fit.link is None else label for fit, label in zip(fits, labels, strict=True)]
        return self._pick("sessions", fits, labels, [True] * len(fits)) or SessionsFit(0.0)

    def _list(self, part: str, turns: TurnsFit) -> ListFit | None:
        fits = list_fits(part, turns, self._catalogue, self._links)
        return self._pick(part, fits, [fit.label for fit in fits], [fit.score >= LIKE_A_LIST for fit in fits])

    def _by_tables(self, turns: TurnsFit) -> None:
        lists = {part: self._list(part, turns) for part in LISTS}
        if lists["served"] is not None and lists["served"] == lists["pool"]:
            lists["served"] = None
        found = {part: fit for part, fit in lists.items() if fit is not None}
        keys, inside = _in_turns(found)
        self._made = replace(self._made, json_keys=keys, has=frozenset(found))
        orgs = org_paths(turns.sessions.relation or turns.relation, self._links)
        org = self._add_entries(orgs, list(found.values()), turns)
        parts = {"sessions": sessions_draft(turns.sessions, turns, org), "turns": turns_draft(turns, inside)}
        parts |= {part: _list_part(fit, turns) for part, fit in found.items() if part not in inside}
        self._made = replace(self._made, parts={**self._made.parts, **parts})
        self._look_over(turns, found)

    def _look_over(self, turns: TurnsFit, lists: Mapping[str, ListFit]) -> None:
        """What is missing, and whether some time has no zone."""
        self._missing += [MISSING[part] for part in LISTS if part not in lists]
        has_query = embedding(turns.relation) is not None
        if has_query and "embeddings" in self._made.has:
            pass
        else:
            self._made = replace(self._made, has=self._made.has - {"embeddings"})
            which = "entries" if has_query else "queries"
            self._missing.append(f"embeddings of {which}: none; cosine, and --pool-from cosine, cannot be used")
        times = [(turns.relation, turns.asked), (turns.sessions.relation, turns.sessions.started)]
        if any(relation and name and _is_naive(relation, name) for relation, name in times):
            self._made = replace(self._made, timezone=self._choices.timezone or self._catalogue.timezone)

    # -- Entries, and the org that sessions and entries share

    def _add_entries(
        self, orgs: Sequence[OrgPath], lists: Sequence[ListFit], turns: TurnsFit | None = None
    ) -> OrgPath | None:
        """Map the entries; returns the org of sessions."""
        fit = self._entries(lists, turns)
        of_entries = org_paths(fit.relation, self._links) if isinstance(fit, EntriesFit) else []
        org, entries_org = agreed(orgs, of_entries, self._choices.org)
        if self._choices.org not in (None, NONE) and org is None and orgs is not None and turns is not None:
            raise ConfigError(f"org {self._choices.org!r}: no such column in sessions, nor one step from them")
        self._options["org"] = tuple(path.label for path in orgs)[:OPTIONS_SHOWN]
        self._chosen |= {"org": org.label} if org else {}
        if isinstance(fit, EntriesFit):
            self._keep_entries(fit, entries_org, bool(org))
        elif fit is not None:
            self._keep_preset(fit, org)
        elif "entries" in self._covered:
            self._chosen["entries"] = f"preset {'+'.join(self._made.presets)}"
        elif not any(isinstance(item, ColumnFit) and "body" in item.keys for item in lists):
            self._missing.append(MISSING["entries"])
        return org

    def _entries(self, lists: Sequence[ListFit], turns: TurnsFit | None) -> EntriesFit | PresetFit | None:
        taken = {item.relation for item in lists}
        taken |= {relation for relation in (turns.relation, turns.sessions.relation) if relation} if turns else set()
        plain = entries_fits(self._catalogue, referred(lists), entry_nouns(lists))
        stores = preset_entries(self._catalogue, self._known)
        known = {fit.relation for fit in stores}
        if "entries" in self._covered and self._choices.entries is None:
            plain, stores = [], [fit for fit in stores if fit.preset in self._made.presets]
        fits: list[EntriesFit | PresetFit] = [fit for fit in plain if fit.relation not in taken | known]
        fits = sorted([*fits, *stores], key=lambda fit: (-fit.score, fit.relation.where))
        found = self._pick("entries", fits, [f.relation.label for f in fits], [f.score >= LIKE_ENTRIES for f in fits])
        return _with_identity(found, lists) if isinstance(found, EntriesFit) else found

    def _keep_entries(self, fit: EntriesFit, org: OrgPath | None, sessions_have_org: bool) -> None:
        above = [link for link in self._links.of(fit.relation) if words.weight(link.target.name, words.ENTRY)]
        draft = entries_draft(fit, org, above[0] if above else None)
        if org is None and sessions_have_org:
            note = "No column says whose an entry is, in the sense of the sessions' org: all orgs share all entries."
            draft = replace(draft, notes=(*draft.notes, note))
        has = self._made.has | ({"embeddings"} if embedding(fit.relation) else set())
        self._made = replace(self._made, parts={**self._made.parts, "entries": draft}, has=has)

    def _keep_preset(self, fit: PresetFit, org: OrgPath | None) -> None:
        """An org in the metadata counts only where sessions have one of the same kind; else entries are shared."""
        same = (
            fit.org_key if org and fit.org_key and words.org_rank(fit.org_key) == words.org_rank(org.column) else None
        )
        hidden = {} if same else {"org_as": HIDDEN}
        named = {fit.org_parameter: same} if same and same != "org_id" else {}
        self._made = replace(
            self._made,
            presets=tuple(dict.fromkeys([*self._made.presets, fit.preset])),
            identifiers={**fit.identifiers, **hidden},
            parameters={**fit.parameters, **named},
            has=self._made.has | {"embeddings"},
        )

    # -- Choosing

    def _pick(self, part: str, fits: Sequence[T], labels: Sequence[str], likely: Sequence[bool]) -> T | None:
        """What the person chose, else the first that is likely."""
        self._options[part] = tuple(dict.fromkeys(labels))[:OPTIONS_SHOWN]
        wanted = getattr(self._choices, part)
        found = likely.index(True) if wanted is None and True in likely else None
        if wanted is not None and (wanted != NONE or NONE in labels):
            found = next((place for place, label in enumerate(labels) if _means(wanted, label)), None)
            if found is None:
                raise ConfigError(f"{part} {wanted!r}: {self._why_not(part, wanted)}")
        if found is None:
            return None
        self._chosen[part] = labels[found]
        return fits[found]

    def _why_not(self, part: str, wanted: str) -> str:
        known = self._catalogue.named(wanted)
        if not known:
            return "it is not in this database, or this role may not see it"
        hidden = "" if known[0].is_readable else "; nor may this role read it"
        return f"{known[0].label} cannot be it: {LACKS[part]}{hidden}"


MISSING = {
    "turns": "turns: no table with an id, a query (text) and a time was found that looks like users' questions; "
    "without turns there is nothing to replay",
    "pool": "pool: nothing looks like the entries that a turn's retrieval found; pools can be retrieved anew, with "
    "--pool-from",
    "served": "served: nothing looks like the entries that users were shown; `-A served` cannot be used",
    "entries": "entries: no table looks like the knowledge base; without texts only `served` and `run:` compare",
}


def _sessions_label(fit: SessionsFit) -> str:
    return fit.relation.label if fit.relation else fit.link or EACH_TURN


def _means(wanted: str, label: str) -> bool:
    """Whether a person means this: all of it, or without what stands before a dot."""
    return label == wanted or label.endswith(f".{wanted}")


def _is_naive(relation: Relation, column: str) -> bool:
    return words.NAIVE.fullmatch(relation.by_name[column].type) is not None


def _in_turns(lists: Mapping[str, ListFit]) -> tuple[dict[str, str], dict[str, ListFit]]:
    """The JSON keys of the first list that stands in turns, and the lists that these keys fit."""
    inside: dict[str, ListFit] = {}
    keys: dict[str, str] = {}
    for part, fit in lists.items():
        if isinstance(fit, ColumnFit) and (not inside or not fit.keys or fit.keys == keys):
            inside[part] = fit
            keys = keys or dict(fit.keys)
    return keys, inside


def _list_part(fit: ListFit, turns: TurnsFit) -> Draft:
    return list_draft(fit, turns) if isinstance(fit, RowsFit) else expanded_draft(fit, turns)


def _with_identity(fit: EntriesFit, lists: Sequence[ListFit]) -> EntriesFit:
    """Entries by the column that lists name them by: ids that are no numbers cannot be those of a bigint key."""
    rows = [item.target_column for item in lists if isinstance(item, RowsFit) and item.target == fit.relation]
    if rows and rows[0]:
        return replace(fit, identity=rows[0])
    samples = [item.sample for item in lists if isinstance(item, ColumnFit) and item.sample]
    own = fit.relation.by_name[fit.identity]
    if not samples or _could_hold(own.type, samples[0]):
        return fit
    others = [c for c in fit.relation.columns if _could_hold(c.type, samples[0]) and _names_it(c.name, fit.relation)]
    others.sort(key=lambda c: (c.name not in fit.relation.unique, c.type in {"text", "character varying"}))
    return replace(fit, identity=others[0].name) if others else fit


def _could_hold(kind: str, sample: str) -> bool:
    if words.WHOLE_NUMBERS.fullmatch(kind):
        return sample.lstrip("-").isdigit()
    if kind == "uuid":
        return len(sample.replace("-", "")) == 32
    return words.TEXTS.fullmatch(kind) is not None


def _names_it(name: str, relation: Relation) -> bool:
    """Whether a column may be another name of the row: `external_id`, `slug`, `doc_key`."""
    return bool({"id", "uid", "uuid", "key", "slug", "ref", "code"}.intersection(words.words(name))) and (
        words.org_rank(name) is None and all(name not in key.columns for key in relation.foreign_keys)
    )

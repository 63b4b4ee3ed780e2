"""Recognises the tables of other programs for which there is a preset: Phoenix, LangChain, LlamaIndex. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shadowdiff.sources import words
from shadowdiff.sources.catalogue import Catalogue, Relation
from shadowdiff.sources.likeness import size_bonus

LIKE_ITSELF = 6.0
"""How much a table that only one program makes is like entries."""
HIDDEN = "ignored"
"""A name for the org's column under which nothing looks for it: one knowledge base for all orgs."""
COLLECTIONS = "langchain_pg_collection"
LANGCHAIN = frozenset({"collection_id", "embedding", "document", "cmetadata"})
LANGCHAIN_TABLE = frozenset({"langchain_id", "content", "embedding"})
LLAMAINDEX = frozenset({"text", "metadata_", "node_id", "embedding"})
PHOENIX = {"projects": {"id", "name"}, "traces": {"trace_id"}, "spans": {"trace_rowid", "attributes", "span_kind"}}


@dataclass(frozen=True, slots=True)
class PresetFit:
    """A table of entries that a preset reads."""

    score: float
    relation: Relation
    preset: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    org_key: str | None = None
    """The key of the metadata that holds an org."""
    org_parameter: str = "org_key"


def phoenix_schema(catalogue: Catalogue) -> str | None:
    """The schema that holds Phoenix's tables."""
    schemas = {relation.schema for relation in catalogue.relations if relation.name == "spans"}
    for schema in sorted(schemas, key=lambda name: (name != "public", name)):
        tables = {name: catalogue.by_where.get((schema, name)) for name in PHOENIX}
        if all(table and PHOENIX[name] <= set(table.by_name) for name, table in tables.items()):
            return schema
    return None


def preset_entries(catalogue: Catalogue, presets: Mapping[str, frozenset[str]]) -> list[PresetFit]:
    """The tables of vector stores for which a preset is known."""
    found = (_fit(relation, catalogue) for relation in catalogue.relations)
    return [fit for fit in found if fit and fit.preset in presets]


def _fit(relation: Relation, catalogue: Catalogue) -> PresetFit | None:
    columns, table = set(relation.by_name), f"{relation.schema}.{relation.name}"
    if relation.name == "langchain_pg_embedding" and columns >= LANGCHAIN:
        return _langchain(relation, catalogue, table)
    score = LIKE_ITSELF + size_bonus(relation)
    if columns >= LANGCHAIN_TABLE:
        org, title = _metadata_keys(relation, "langchain_metadata", catalogue)
        return PresetFit(score, relation, "langchain-table", {"table": table}, title, org)
    if columns >= LLAMAINDEX:
        org, title = _metadata_keys(relation, "metadata_", catalogue)
        return PresetFit(score, relation, "llamaindex", {"table": table}, title, org)
    return None


def _langchain(relation: Relation, catalogue: Catalogue, table: str) -> PresetFit:
    org, title = _metadata_keys(relation, "cmetadata", catalogue)
    identifiers = {"table": table, "collection_table": f"{relation.schema}.{COLLECTIONS}"}
    if "id" not in relation.by_name and "custom_id" in relation.by_name:
        identifiers["id_column"] = "custom_id"
    names = catalogue.values.get((relation.schema, COLLECTIONS, "name"), frozenset())
    # Several collections: each is an org named after it, unless a person says otherwise.
    collection = {"collection": next(iter(names)) if len(names) == 1 else "*"} if names else {}
    return PresetFit(
        LIKE_ITSELF + size_bonus(relation), relation, "langchain", identifiers, {**collection, **title}, org
    )


def _metadata_keys(relation: Relation, column: str, catalogue: Catalogue) -> tuple[str | None, dict[str, str]]:
    """The metadata key that holds an org, and parameters for those that hold title and time of change."""
    shapes = catalogue.shapes_of(relation, column) if column in relation.by_name else ()
    keys = sorted({key for shape in shapes if not shape.is_list for key in shape.fields})
    orgs = sorted((rank, key) for key in keys if (rank := words.org_rank(key)) is not None)
    titles = [key for key in keys if key == "title"] or [key for key in keys if words.weight(key, words.TITLE) >= 3]
    titles = titles or [key for key in keys if key == "file_name"]
    updated = [key for key in keys if words.weight(key, words.UPDATED) >= 4]
    updated = [key for key in updated if key == "updated_at"] or updated
    found = {"title_key": titles[:1], "updated_key": updated[:1]}
    defaults = {"title_key": "title", "updated_key": "updated_at"}
    return (
        orgs[0][1] if orgs else None,
        {name: values[0] for name, values in found.items() if values and values[0] != defaults[name]},
    )

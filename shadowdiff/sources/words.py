"""What names of tables and columns suggest: words, and how strongly each speaks for what. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from shadowdiff.sources.catalogue import Column, Relation

Weights = dict[str, float]
"""How strongly a word speaks, from 0 to 4."""

PIECES = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")


def _weighted(groups: Mapping[float, str]) -> Weights:
    return {word: weight for weight, together in groups.items() for word in together.split()}


SESSION: Weights = _weighted({3: "conversation session dialog dialogue", 2.5: "chat thread"})
SESSION_KEY: Weights = SESSION | _weighted({1.2: "visitor", 1: "user caller", 0.9: "client", 0.8: "device"})
TURN: Weights = _weighted(
    {
        3: "turn query question utterance",
        2.5: "message msg search",
        2: "retrieval prompt",
        1.5: "request",
        1: "event",
        0.5: "log chat",
    }
)
ENTRY: Weights = _weighted(
    {
        3.2: "chunk",
        3: "document doc article passage kb knowledge faq",
        2: "page entry snippet wiki",
        1.5: "node section embedding",
        1: "content help post",
        0.5: "note item",
    }
)
POOL: Weights = _weighted(
    {
        3: "candidate pool hit retrieved",
        2.5: "result",
        2: "retrieval context match",
        1.5: "source reference recall",
    }
)
SERVED: Weights = _weighted(
    {
        3: "served shown returned reranked final displayed surfaced",
        2.5: "rerank cited citation impression presented display",
        2: "selected",
    }
)
ORG = (
    *("tenant", "org", "organization", "organisation", "workspace", "company", "account", "customer", "project"),
    *("client", "team", "site", "merchant", "brand", "shop"),
)
"""What an org is called, the likeliest first."""
TRAPS: Weights = _weighted(
    {
        3: "audit login auth token migration payment invoice permission",
        2: "job email mail sms notification webhook cache backup old tmp temp feedback error order attachment reaction",
        1.5: "archive archived deleted",
        1: "draft test version",
        0.5: "ticket history",
    }
)
"""What speaks against a table."""
LOGIN = frozenset({"token", "ip", "password", "csrf", "agent", "expire", "expiry", "refresh", "jwt", "cookie", "login"})
"""Columns of sessions that are logins, not conversations."""

QUERY: Weights = _weighted(
    {
        4: "query question utterance",
        3: "q prompt",
        2.5: "search",
        2: "keyword content message text input said",
        1.5: "body term phrase",
        1: "request",
    }
)
SEARCH_QUERY: Weights = _weighted(
    {
        4: "rewritten rewrite reformulated standalone condensed contextualized",
        3: "expanded",
        2: "search retrieval",
    }
)
PLAIN = 4
"""The weight of a word that needs no other beside it."""
ANSWER: Weights = _weighted({4: "answer response reply", 3: "completion", 2: "output", 1: "generated"})
BODY: Weights = _weighted(
    {
        4: "body content",
        3.5: "text",
        3: "chunk passage",
        2.5: "markdown document answer",
        1: "html description",
        0.5: "summary",
    }
)
TITLE: Weights = _weighted({4: "title", 3.5: "headline", 3: "heading subject", 2.5: "question", 2: "name"})
EMBEDDING: Weights = _weighted({4: "embedding embeddings", 3: "vector emb", 2.5: "vec"})
STARTED: Weights = _weighted(
    {
        4: "started",
        3.5: "start",
        3: "begun opened created",
        2.5: "inserted asked",
        2: "first timestamp ts",
        1.5: "time",
        1: "date",
        0.5: "at",
        0.2: "on",
    }
)
ASKED: Weights = STARTED | _weighted({4: "asked", 3.5: "sent searched", 3: "received occurred said", 2.5: "started"})
UPDATED: Weights = _weighted({4: "updated modified changed", 3.5: "edited", 3: "revised", 1: "published"})
RANK: Weights = _weighted({4: "rank position", 3.5: "ordinal", 3: "pos ord", 2.5: "idx index place"})
SCORE: Weights = _weighted({4: "score similarity relevance", 3: "sim distance", 1: "weight"})
POSITION: Weights = RANK | _weighted({3: "seq sequence", 2: "turn number", 1.5: "no step"})
ROLE: Weights = _weighted({4: "role", 3.5: "sender speaker", 3: "author", 2: "direction", 1.5: "kind type"})
STAGE: Weights = _weighted({4: "stage", 3.5: "phase", 3: "step", 2: "kind list", 1.5: "type"})
SERVED_BY: Weights = _weighted({4: "reranker"})
TAGS: Weights = _weighted({4: "tag", 2: "label"})
OTHER_TIMES = frozenset(
    {"updated", "ended", "end", "closed", "deleted", "expire", "expired", "last", "read", "archived"}
)
NOT_TEXT = frozenset(
    {"id", "type", "url", "hash", "count", "lang", "language", "status", "model", "vector", "embedding", "error", "key"}
    | {
        "answer",
        "response",
        "reply",
        "name",
        "tokens",
        "token",
        "format",
        "mime",
        "path",
        "by",
        "version",
        "ip",
        "kind",
    }
)
USER_VALUES = frozenset(
    {"user", "human", "customer", "visitor", "client", "enduser", "end_user", "question", "inbound"}
)
ASSISTANT_VALUES = frozenset({"assistant", "ai", "bot", "agent", "model", "answer", "llm", "chatbot", "outbound"})

TEXTS = re.compile(r"text|character varying|character|citext|bpchar")
TIMES = re.compile(r"timestamp with(out)? time zone|date")
NAIVE = re.compile(r"timestamp without time zone|date")
IDS = re.compile(r"uuid|bigint|integer|smallint|text|character varying|citext|character|numeric")
NUMBERS = re.compile(r"real|double precision|numeric|smallint|integer|bigint")
WHOLE_NUMBERS = re.compile(r"smallint|integer|bigint")
VECTORS = re.compile(r"vector|halfvec|real\[\]|double precision\[\]|bytea|jsonb?")
JSONS = re.compile(r"jsonb?")
ID_ARRAYS = re.compile(r"(uuid|bigint|integer|smallint|text|character varying)\[\]")
BOOLEANS = re.compile(r"boolean")


def words(name: str) -> tuple[str, ...]:
    """A name's words, small and singular: `chatMessages_v2` is chat, message, v, 2."""
    return tuple(_singular(piece.lower()) for piece in PIECES.findall(name))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")) and len(word) > 5:
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def weight(name: str, weights: Weights) -> float:
    """How strongly a name speaks: by its strongest word."""
    return max((weights.get(word, 0.0) for word in words(name)), default=0.0)


def is_search_query(name: str) -> bool:
    """Whether a column that speaks for a rewritten query says enough: what was rewritten, or plainly that it was."""
    return weight(name, QUERY) > 0 or weight(name, SEARCH_QUERY) >= PLAIN


def name_score(name: str, weights: Weights) -> float:
    """How strongly a table's name speaks for something: its last word counts most, and traps count against it."""
    found = words(name)
    if not found:
        return 0.0
    strongest = max(weights.get(word, 0.0) for word in found)
    return strongest + 0.3 * weights.get(found[-1], 0.0) - max(TRAPS.get(word, 0.0) for word in found)


def best(
    columns: Iterable[Column], weights: Weights, types: re.Pattern[str], avoid: Iterable[str] = ()
) -> Column | None:
    """The column whose name speaks most for it, of those of these types; the plainer name where two speak alike."""
    shunned = frozenset(avoid)
    found = [(_fit(column.name, weights, shunned), column) for column in columns if types.fullmatch(column.type)]
    fitting = [(fit, column) for fit, column in found if fit > 0]
    return max(fitting, key=lambda item: item[0])[1] if fitting else None


def _fit(name: str, weights: Weights, shunned: frozenset[str]) -> float:
    found = words(name)
    strongest = max((weights.get(word, 0.0) for word in found), default=0.0)
    if not strongest or shunned.intersection(found):
        return 0.0
    return strongest - 0.2 * sum(word not in weights for word in found)


def org_columns(relation: Relation) -> list[Column]:
    """Columns that may hold the org, the likeliest first."""
    ranked = [(org_rank(column.name), place, column) for place, column in enumerate(relation.columns)]
    usable = [item for item in ranked if item[0] is not None and IDS.fullmatch(item[2].type)]
    return [column for _, _, column in sorted(usable, key=lambda item: item[:2])]


def org_rank(name: str) -> int | None:
    """How likely a column of this name holds an org, 0 the likeliest; None: not at all."""
    found = words(name)
    noun = next((word for word in ORG if word in found), None)
    rest = [word for word in found if word not in {noun, "id", "key", "uuid", "slug", "code", "ref", "name"}]
    return ORG.index(noun) if noun and not rest else None


INTERESTING = "|".join(
    sorted({*SESSION, *TURN, *ENTRY, *POOL, *SERVED} | {"quer", "search", "kb", "langchain", "data_", "span", "trace"})
)
"""A pattern of table names that are looked at first, where a database holds more than can be looked at."""

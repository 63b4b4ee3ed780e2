"""All checks, in the order in which they are made and printed."""

from __future__ import annotations

from shadowdiff.checks import (
    columns,
    configuration,
    contents,
    embeddings,
    judge,
    nights,
    plans,
    retrieval,
    server,
    sides,
    sizes,
    storage,
)
from shadowdiff.checks.checkup import Check
from shadowdiff.config import SOURCE_PARTS

PARTS = SOURCE_PARTS
SAMPLED = ("sessions read",)

CHECKS = (
    Check("configuration", "file", configuration.file),
    Check("configuration", "timeouts", configuration.patience),
    Check("configuration", "providers", configuration.providers),
    Check("source", "connection", server.connection),
    Check("source", "server", server.server, ("connection",)),
    Check("source", "writes", server.writes, ("connection",)),
    Check("source", "mapping", columns.named),
    Check("source", "role", server.role, ("connection", "mapping")),
    Check("source", "tables", columns.tables, ("connection", "mapping")),
    Check("source", "announcements", server.announcements, ("connection", "mapping", "tables")),
    *(Check("mapping", name, columns.part(name), ("connection", "mapping", "tables")) for name in PARTS),
    Check("mapping", "not mapped", columns.unmapped, ("tables", *PARTS)),
    Check("mapping", "time zone", columns.time_zone, ("tables", *PARTS)),
    Check("sessions", "sessions read", sizes.sampled, ("tables", *PARTS)),
    Check("sessions", "sessions per day", sizes.per_day, SAMPLED),
    Check("sessions", "turns per session", sizes.turns_per_session, SAMPLED),
    Check("sessions", "pool size", sizes.pool_sizes, SAMPLED),
    Check("sessions", "turns' lists", sizes.without_lists, SAMPLED),
    Check("sessions", "ids", sizes.ids, SAMPLED),
    Check("sessions", "times", sizes.times, SAMPLED),
    Check("sessions", "queries", sizes.queries, SAMPLED),
    Check("entries", "entries looked up", contents.looked_up, SAMPLED),
    Check("entries", "entries in pools", contents.entries_in_pools, ("entries looked up",)),
    Check("entries", "repeats", contents.repeats, SAMPLED),
    Check("entries", "KB drift", contents.drift, ("entries looked up",)),
    Check("entries", "embeddings", embeddings.embeddings, ("entries looked up",)),
    Check("speed", "newest sessions", plans.newest_sessions, ("tables", "sessions")),
    Check("speed", "turns by session", plans.by_id("turns", "turns by session", plans.turns_of_sessions), SAMPLED),
    Check("speed", "pool by turn", plans.by_id("pool", "pool by turn", plans.lists_of_turns("pool")), SAMPLED),
    Check("speed", "served by turn", plans.by_id("served", "served by turn", plans.lists_of_turns("served")), SAMPLED),
    Check("speed", "entries by id", plans.by_id("entries", "entries by id", plans.entries_of_pools), SAMPLED),
    Check("speed", "pools by cosine", retrieval.pools_by_cosine, ("tables", *PARTS)),
    Check("sides", "sides", sides.sides),
    Check("sides", "inputs", sides.inputs, ("tables", *PARTS)),
    Check("sides", "truncation", sides.truncation, SAMPLED),
    Check("sides", "judge", judge.judge),
    Check("store", "store", storage.store),
    Check("store", "migrations", storage.migrations, ("store",)),
    Check("store", "separation", storage.separation, ("connection", "mapping", "store")),
    Check("store", "disk", storage.disk),
    Check("store", "lexicons", storage.lexicons),
    Check("store", "token vectors", storage.token_vectors),
    Check("nightly", "gate", nights.gate),
    Check("nightly", "reports", nights.reports),
    Check("nightly", "deliveries", nights.deliveries),
)
"""A check that builds on others names them: without them it is said to be skipped."""

"""`shadowdiff load`: read a bundle into the own schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shadowdiff.cli.invocation import Invocation

if TYPE_CHECKING:
    from shadowdiff.sources.bundle import Bundle, Embeddings

EPILOG = """\b
Examples:
  shadowdiff load sample_sessions
  shadowdiff load exports/last-week --embedder st:models/all-MiniLM-L6-v2

\b
A bundle is a directory with kb_entries.jsonl and sessions.jsonl,
and, if you have them, qrels.txt and embeddings.npz."""


@click.command("load", epilog=EPILOG)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--embedder", metavar="st:PATH", help="Compute embeddings with this bi-encoder where the bundle has none."
)
@click.option("--replace", is_flag=True, help="Delete all that is stored of the bundle's orgs first.")
@click.pass_obj
def command(invocation: Invocation, directory: Path, embedder: str | None, replace: bool) -> None:
    """Load a bundle of entries, sessions and labels.

    All of it or, where anything is wrong, nothing.

    Entries, sessions and labels that are stored already are replaced by the bundle's; the rest is left alone.
    """
    from shadowdiff.sources.bundle import read_bundle

    if embedder is not None:
        from shadowdiff.embedding import embedder_spec

        embedder_spec(embedder, offline=invocation.settings.privacy.offline)
    click.echo(load_bundle(invocation, read_bundle(directory), embedder, replace=replace))


def load_bundle(invocation: Invocation, bundle: Bundle, embedder: str | None = None, *, replace: bool = False) -> str:
    """Write a checked bundle into the own schema, its labels into the store, and say what it held."""
    from shadowdiff.database import store_engine
    from shadowdiff.store.ingest import ingest, ingest_labels
    from shadowdiff.store.migrate import require_current

    source_url = invocation.loading_url
    together = invocation.store_url == source_url
    source, store = store_engine(source_url), store_engine(invocation.store_url)
    require_current(source, "source")
    require_current(store, "store")
    embeddings = bundle.embeddings or (_computed(bundle, embedder) if embedder else None)
    ingest(
        source,
        bundle.entries,
        bundle.sessions,
        bundle.labels if together else (),
        entry_vectors=embeddings.entries if embeddings else None,
        turn_vectors=embeddings.turns if embeddings else None,
        embedding_model=embeddings.model if embeddings else None,
        replace_orgs=replace,
    )
    if not together:
        ingest_labels(store, bundle.labels)
    return _told(bundle, embeddings)


def _computed(bundle: Bundle, embedder: str) -> Embeddings:
    from shadowdiff import diagnostics
    from shadowdiff.embedding import build_embedder, embed
    from shadowdiff.sources.bundle import Embeddings

    built = build_embedder(embedder)
    with diagnostics.counted_progress("embedding") as progress:
        entries, turns = embed(built, bundle.entries, bundle.sessions, progress)
    return Embeddings(built.model, entries, turns)


def _told(bundle: Bundle, embeddings: Embeddings | None) -> str:
    orgs = len({entry.org_id for entry in bundle.entries})
    turns = [turn for session in bundle.sessions for turn in session.turns]
    pooled = sum(turn.recorded_pool is not None for turn in turns)
    vectors = f"embeddings of {embeddings.model}" if embeddings else "no embeddings"
    return (
        f"loaded {len(bundle.entries):,} entries of {orgs} orgs, {len(bundle.sessions):,} sessions, "
        f"{len(turns):,} turns ({pooled:,} with a recorded pool), {len(bundle.labels):,} labels, {vectors}"
    )

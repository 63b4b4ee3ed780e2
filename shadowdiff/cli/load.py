"""`shadowdiff load`: read a bundle, or a collection of BEIR or TREC, into the own schema."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shadowdiff.sources.bundle import Bundle
    from shadowdiff.sources.embeddings import Embeddings

FILE = click.Path(path_type=Path)
NAMES = {"pattern": "session-pattern", "listed_only": "listed-only"}

EPILOG = """\b
Examples:
  shadowdiff load sample_sessions
  shadowdiff load exports/last-week --embedder st:models/all-MiniLM-L6-v2
  shadowdiff load beir/scifact --split test --run scifact.bm25.trec
  shadowdiff load --org cast --topics topics.json --run bm25.run --qrels qrels.txt

\b
A bundle is a directory with kb_entries.jsonl and sessions.jsonl,
and, if you have them, qrels.txt and embeddings.npz.
A BEIR directory has corpus.jsonl, queries.jsonl and qrels/*.tsv;
a TREC one topics.*, run.* or *.run, qrels.*, and corpus.* if there are texts.
Any of these may end in .gz."""


@click.command("load", epilog=EPILOG)
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option(
    "--embedder", metavar="st:PATH", help="Compute embeddings with this bi-encoder where the bundle has none."
)
@click.option("--replace", is_flag=True, help="Delete all that is stored of the bundle's orgs first.")
@click.option(
    "--form",
    type=click.Choice(("auto", "bundle", "beir", "trec")),
    default="auto",
    show_default=True,
    help="What DIRECTORY is; auto: as its file names say.",
)
@click.option("--org", metavar="NAME", help="BEIR, TREC: the org to load into (default: the directory's name).")
@click.option(
    "--session-pattern",
    "pattern",
    metavar="REGEX",
    help="BEIR, TREC: what makes sessions of whole query ids, with the groups 'session' and 'turn' "
    "(default: 106_3, 106:3 and 106-3 are turn 3 of session 106).",
)
@click.option("--split", metavar="NAME", help="BEIR: labels of qrels/NAME.tsv only, and the sessions that have some.")
@click.option("--topics", type=FILE, metavar="FILE", help="BEIR, TREC: the queries.")
@click.option("--run", type=FILE, metavar="FILE", help="BEIR, TREC: a run file; what it lists become recorded pools.")
@click.option("--qrels", type=FILE, metavar="FILE", multiple=True, help="BEIR, TREC: labels; repeatable.")
@click.option("--corpus", type=FILE, metavar="FILE", help="BEIR, TREC: the entries' texts.")
@click.option("--listed-only", is_flag=True, help="BEIR, TREC: only the entries that the run or the labels name.")
@click.pass_obj
def command(
    invocation: Invocation, /, directory: Path | None, embedder: str | None, replace: bool, **collection: Any
) -> None:
    """Load entries, sessions and labels: a bundle, or a collection of BEIR or TREC.

    All of it or, where anything is wrong, nothing.

    Entries, sessions and labels that are stored already are replaced by the bundle's; the rest is left alone.
    """
    if embedder is not None:
        from shadowdiff.embedding import embedder_spec

        embedder_spec(embedder, offline=invocation.settings.privacy.offline)
    click.echo(load_bundle(invocation, _read(directory, **collection), embedder, replace=replace))


def _read(directory: Path | None, form: str, **options: Any) -> Bundle:
    from shadowdiff.sources.bundle import read_bundle
    from shadowdiff.sources.forms import form_of

    if directory is None and not options["topics"]:
        raise ConfigError("nothing to load: name a directory, or --topics")
    found = form if form != "auto" else "trec" if directory is None else form_of(directory)
    given = [NAMES.get(name, name) for name, value in options.items() if value]
    if "split" in given and (found != "beir" or directory is None):
        raise ConfigError("--split goes with a BEIR directory, whose qrels/ it chooses from")
    if found != "bundle":
        return _read_collection(directory, found, **options)
    if given:
        raise ConfigError(f"--{given[0]} does not go with a bundle, whose files say all there is")
    if directory is None:
        raise ConfigError("a bundle is a directory; name it")
    return read_bundle(directory)


def _read_collection(directory: Path | None, form: str, *, pattern: str | None, **options: Any) -> Bundle:
    from shadowdiff.sources.collection import CollectionFiles, read_collection
    from shadowdiff.sources.forms import beir_files, trec_files
    from shadowdiff.sources.grouping import DEFAULT_PATTERN, session_pattern

    given = {name: options[name] for name in ("topics", "run", "qrels", "corpus") if options[name]}
    if directory is None:
        files = CollectionFiles(**given)
    elif form == "beir":
        files = changed(beir_files(directory, options["split"]), **given)
    else:
        files = changed(trec_files(directory, given), **given)
    return read_collection(
        files,
        _org(directory, options["org"]),
        session_pattern(pattern or DEFAULT_PATTERN),
        form,
        judged_only=options["split"] is not None,
        listed_only=options["listed_only"],
    )


def _org(directory: Path | None, given: str | None) -> str:
    from shadowdiff.sources.lines import MAX_ID_BYTES

    name = given or (directory.resolve().name if directory else "")
    if not name.strip() or len(name.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
        raise ConfigError(f"say into which org to load, with --org and a name of at most {MAX_ID_BYTES} bytes")
    return name


def load_bundle(invocation: Invocation, bundle: Bundle, embedder: str | None = None, *, replace: bool = False) -> str:
    """Write a checked bundle into the own schema, its labels into the store, and say what it held."""
    from shadowdiff.database import store_engine
    from shadowdiff.store.ingest import ingest
    from shadowdiff.store.labels import Labels
    from shadowdiff.store.migrate import require_current
    from shadowdiff.store.runs import RunStore

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
        Labels(RunStore(store)).put_all(bundle.labels)
    _index_large_orgs(source)
    return _told(bundle, embeddings)


def _index_large_orgs(source: Engine) -> None:
    """What was loaded stays loaded where this fails: pools are retrieved exactly then."""
    from shadowdiff import diagnostics
    from shadowdiff.errors import StoreError
    from shadowdiff.store.approximate import LargeOrg, bring_up_to_date

    def told(org: LargeOrg) -> None:
        diagnostics.note(f"indexing the {org.entries:,} embeddings of org {org.org_id!r}; this takes a few minutes")

    try:
        bring_up_to_date(source, told)
    except StoreError as error:
        diagnostics.warning(f"{error}; --pool-from cosine compares all entries of large orgs until a load succeeds")


def _computed(bundle: Bundle, embedder: str) -> Embeddings:
    from shadowdiff import diagnostics
    from shadowdiff.embedding import build_embedder, embed
    from shadowdiff.sources.embeddings import Embeddings

    built = build_embedder(embedder)
    with diagnostics.counted_progress("embedding") as progress:
        entries, turns = embed(built, bundle.entries, bundle.sessions, progress)
    entries[[not (entry.title or entry.body) for entry in bundle.entries]] = 0  # no text, no embedding
    return Embeddings(built.model, entries, turns)


def _told(bundle: Bundle, embeddings: Embeddings | None) -> str:
    orgs = len({entry.org_id for entry in bundle.entries})
    textless = sum(not (entry.title or entry.body) for entry in bundle.entries)
    turns = [turn for session in bundle.sessions for turn in session.turns]
    pooled = sum(turn.recorded_pool is not None for turn in turns)
    vectors = f"embeddings of {embeddings.model}" if embeddings else "no embeddings"
    return (
        f"loaded {len(bundle.entries):,} entries{f' ({textless:,} without text)' if textless else ''} of {orgs} orgs, "
        f"{len(bundle.sessions):,} sessions, {len(turns):,} turns ({pooled:,} with a recorded pool), "
        f"{len(bundle.labels):,} labels, {vectors}"
    )

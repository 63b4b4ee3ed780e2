"""What a directory is, a bundle or a collection of BEIR or TREC, and which of its files are what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from shadowdiff.errors import ConfigError
from shadowdiff.sources.bundle import ENTRIES_FILE, SESSIONS_FILE
from shadowdiff.sources.collection import CollectionFiles

FORMS = ("bundle", "beir", "trec")
QUERIES, CORPUS = "queries.jsonl", "corpus.jsonl"
TOPICS_NAMES = ("topics.*",)
RUN_NAMES = ("run.*", "*.run", "*.trec", "*.run.gz", "*.trec.gz")
QRELS_NAMES = ("qrels.*", "*.qrels", "qrels/*")
CORPUS_NAMES = ("corpus.*", "collection.*")


def form_of(directory: Path) -> str:
    """One of FORMS, by the names of the files in it. Raises ConfigError for what is none of them."""
    if not directory.is_dir():
        raise ConfigError(
            f"{directory}: no such directory; a bundle is a directory with {ENTRIES_FILE} and {SESSIONS_FILE}"
        )
    if (directory / SESSIONS_FILE).exists() or (directory / ENTRIES_FILE).exists():
        return "bundle"
    if _packed_or_not(directory, QUERIES):
        return "beir"
    if _named(directory, TOPICS_NAMES):
        return "trec"
    raise ConfigError(
        f"{directory}: neither a bundle ({ENTRIES_FILE}, {SESSIONS_FILE}) nor a BEIR directory ({CORPUS}, {QUERIES}) "
        "nor a TREC one (topics.*, run.*, qrels.*)"
    )


def beir_files(directory: Path, split: str | None = None) -> CollectionFiles:
    """corpus.jsonl, queries.jsonl and qrels/*.tsv; of these only `split`, if it is given. Raises ConfigError."""
    queries = _packed_or_not(directory, QUERIES)
    if queries is None:
        raise ConfigError(f"{directory}: no {QUERIES}, which a BEIR directory has")
    qrels = _named(directory, ("qrels/*.tsv", "qrels/*.tsv.gz"))
    if split is not None:
        found = [path for path in qrels if path.name in {f"{split}.tsv", f"{split}.tsv.gz"}]
        if not found:
            known = ", ".join(path.name.split(".")[0] for path in qrels) or "none"
            raise ConfigError(f"{directory}: no qrels/{split}.tsv; splits that it has: {known}")
        qrels = found
    return CollectionFiles(queries, _packed_or_not(directory, CORPUS), None, tuple(qrels))


def trec_files(directory: Path, given: Mapping[str, Path]) -> CollectionFiles:
    """topics.*, run.* or *.run, corpus.* and qrels.*, but for what `given` names by part. Raises ConfigError."""
    topics = given.get("topics") or _only(directory, TOPICS_NAMES, "--topics")
    if topics is None:
        raise ConfigError(f"{directory}: no topics.*, which a TREC directory has; or name the file with --topics")
    return CollectionFiles(
        topics=topics,
        corpus=given.get("corpus") or _only(directory, CORPUS_NAMES, "--corpus"),
        run=given.get("run") or _only(directory, RUN_NAMES, "--run"),
        qrels=tuple(_named(directory, QRELS_NAMES)),
    )


def _packed_or_not(directory: Path, name: str) -> Path | None:
    return next((path for path in (directory / name, directory / f"{name}.gz") if path.is_file()), None)


def _only(directory: Path, patterns: Sequence[str], option: str) -> Path | None:
    found = _named(directory, patterns)
    if len(found) > 1:
        raise ConfigError(f"{directory}: {found[0].name} and {found[1].name}: say which with {option}")
    return found[0] if found else None


def _named(directory: Path, patterns: Sequence[str]) -> list[Path]:
    """Files of these names, by name; neither hidden ones nor what editors leave behind."""
    found = {path for pattern in patterns for path in directory.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not path.name.startswith(".") and not path.name.endswith("~"))

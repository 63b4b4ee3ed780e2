"""Embeddings beside a bundle: `embeddings.npz`, read and checked, or written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import BundleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.lib.npyio import NpzFile
    from numpy.typing import NDArray


PRESENT = "_present"
"""Ends the name of an optional array of truth values: which rows are embeddings at all."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of one model, row by row in the order of the bundle's files. A row of zeros: no embedding."""

    model: str
    entries: NDArray[np.floating[Any]]
    """Shape (entries, dimensions)."""
    turns: NDArray[np.floating[Any]]
    """Shape (turns, dimensions), turns in file order."""


def read_embeddings(path: Path, entry_count: int, turn_count: int) -> Embeddings | None:
    """The file's vectors, checked against the number of rows that are needed; None where there is no file.

    Raises BundleError with file, row and reason.
    """
    if not path.exists():
        return None
    arrays = _load_arrays(path)
    entries = _checked(path, "entries", arrays, entry_count)
    turns = _checked(path, "turns", arrays, turn_count)
    if entries.shape[1] != turns.shape[1]:
        raise BundleError(f"{path.name}: 'entries' and 'turns' have different numbers of dimensions")
    return Embeddings(_model_name(path, arrays["model"]), entries, turns)


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write `embeddings.npz`, rows of zeros marked as none. Equal vectors make equal bytes."""
    import numpy as np

    arrays: dict[str, Any] = {"entries": embeddings.entries, "turns": embeddings.turns}
    present = {f"{what}{PRESENT}": rows.any(axis=1) for what, rows in arrays.items()}
    if not all(rows.all() for rows in present.values()):
        arrays |= present
    np.savez(path, model=np.array(embeddings.model), **arrays)


def _load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    import zipfile
    import zlib

    import numpy as np

    try:
        if not zipfile.is_zipfile(path):
            raise BundleError(f"{path.name}: not an npz file")
        with np.load(path, allow_pickle=False) as arrays:
            _check_names(path, arrays)
            return {name: arrays[name] for name in arrays}
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{path.name}: cannot be read: {error}") from error


def _check_names(path: Path, arrays: NpzFile) -> None:
    missing = [name for name in ("entries", "turns", "model") if name not in arrays]
    if missing:
        raise BundleError(f"{path.name}: has no array {missing[0]!r}; expected 'entries', 'turns' and 'model'")


def _model_name(path: Path, array: NDArray[Any]) -> str:
    if array.shape != () or array.dtype.kind != "U" or not str(array).strip():
        raise BundleError(f"{path.name}: 'model' must be one string, the name of the embedding model")
    return str(array)


def _checked(path: Path, what: str, arrays: dict[str, NDArray[Any]], count: int) -> NDArray[Any]:
    """The vectors of `what`, with zeros in the rows that are marked as none."""
    import numpy as np

    array = arrays[what]
    if array.ndim != 2 or len(array) != count or array.shape[1] == 0:
        raise BundleError(
            f"{path.name}: {what!r} has shape {array.shape}; the bundle has {count} {what}, one row is needed for each"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise BundleError(f"{path.name}: {what!r} must hold floating-point numbers, not {array.dtype}")
    present = _present(path, what, arrays, count)
    with np.errstate(over="ignore"):
        stored = array.astype(np.float32)
    _refuse_rows(path, what, present & ~np.isfinite(stored).all(axis=1), "not finite")
    _refuse_rows(path, what, present & ~stored.any(axis=1), "all zeros, and has no cosine with anything")
    return array if present.all() else np.where(present[:, None], array, array.dtype.type(0))


def _present(path: Path, what: str, arrays: dict[str, NDArray[Any]], count: int) -> NDArray[np.bool_]:
    import numpy as np

    marks = arrays.get(f"{what}{PRESENT}")
    if marks is None:
        return np.ones(count, dtype=np.bool_)
    if marks.shape != (count,) or marks.dtype != np.bool_:
        raise BundleError(f"{path.name}: '{what}{PRESENT}' must hold {count} truth values, one for each of {what!r}")
    return marks


def _refuse_rows(path: Path, what: str, bad: NDArray[np.bool_], reason: str) -> None:
    import numpy as np

    rows = np.flatnonzero(bad)
    if len(rows):
        raise BundleError(f"{path.name}: row {int(rows[0]) + 1} of {what!r} is {reason}")

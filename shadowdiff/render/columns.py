"""Side-by-side lists of one turn: which entries each side surfaced, and where the other side put them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shadowdiff.ranking import surfaced
from shadowdiff.records import ReplayedTurn, TurnOutcome
from shadowdiff.render.lines import BOLD, DIM, FAILED, MOVED, ONLY_A, ONLY_B, PLAIN, Line, Span, padded
from shadowdiff.render.text import cells, clip, fit, one_line, wrap
from shadowdiff.runs import Run, Side

DIVIDER = " │ "
TITLE_CELLS = 28
"""Cells that a title needs for three or more sides to stand side by side."""
TITLE_START = 5
"""Cells of a title that are kept where its suffix leaves no room for more."""
PLACE_CELLS = 9
"""Cells that the note at the end of a row usually takes: ` · now 22`."""
REASON_LINES = 5
NEAR_TIE = "≈"


@dataclass(frozen=True, slots=True)
class Row:
    """One surfaced entry in one side's column."""

    sign: str
    is_near_tie: bool
    rank: int
    title: str
    suffix: str
    """The entry id where the title alone does not tell; never cut before the title is."""
    place: str
    """Where the other side put the entry."""
    style: str


@dataclass(frozen=True, slots=True)
class Column:
    """One side's list, or why there is none."""

    side: Side
    rows: tuple[Row, ...]
    message: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Lists:
    """What every side of a run did with one turn, by label; a side that failed is absent."""

    ranks: Mapping[str, Mapping[str, int]]
    surfaced: Mapping[str, tuple[str, ...]]
    near_ties: Mapping[str, frozenset[str]]
    names: Mapping[str, tuple[str, str]]
    """Title and suffix of every entry that is surfaced."""

    def compared(self, baseline: Side, others: Sequence[Side]) -> list[Side]:
        """The others that can be compared with the baseline: none where it failed."""
        if baseline.label not in self.surfaced:
            return []
        return [side for side in others if side.label in self.surfaced]


def lists_of(run: Run, turn: TurnOutcome) -> Lists:
    """Gather a turn's rankings for drawing."""
    rankings = {side: turn.replayed.rankings[side.label] for side in run.sides if side.label in turn.replayed.rankings}
    shown = {side.label: surfaced(ranking, run.config.top_k, side.min_score) for side, ranking in rankings.items()}
    return Lists(
        ranks={side.label: ranking.ranks() for side, ranking in rankings.items()},
        surfaced=shown,
        near_ties=_near_ties(run, turn),
        names=_names(turn.replayed, {entry_id for entry_ids in shown.values() for entry_id in entry_ids}),
    )


def columns_of(lists: Lists, turn: TurnOutcome, run: Run, others: Sequence[Side]) -> list[Column]:
    """The baseline's column, then one for each of `others`."""
    compared = lists.compared(run.baseline, others)
    rows = [_baseline_rows(lists, run, compared, is_pair=len(others) == 1)]
    rows += [_other_rows(lists, run, side, is_compared=side in compared) for side in others]
    sides = (run.baseline, *others)
    return [_column(lists, turn.replayed, side, found) for side, found in zip(sides, rows, strict=True)]


def fits_side_by_side(width: int, sides: int, top_k: int) -> bool:
    """Whether that many columns leave titles readable; two always stand side by side."""
    signs = 1 + max(sides - 1, 1)
    places = PLACE_CELLS if sides == 2 else 5 * (sides - 1)
    return sides <= 2 or column_cells(width, sides) >= signs + len(str(top_k)) + 2 + TITLE_CELLS + places


def drawn(columns: Sequence[Column], width: int, top_k: int) -> list[Line]:
    """Headings and rows of the columns, each line within `width` cells."""
    column_width = column_cells(width, len(columns))
    blocks = [_block(column, column_width, top_k, _sign_cells(column)) for column in columns]
    height = max(len(block) for block in blocks)
    return [_joined([_at(block, row) for block in blocks], column_width) for row in range(height)]


def _names(turn: ReplayedTurn, entry_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Title and suffix by entry id: no title is the id, and equal titles are told apart by it."""
    titles = {item.entry.entry_id: item.entry.title for item in turn.pool.entries}
    shown = {entry_id: one_line(titles.get(entry_id, "")) or one_line(entry_id) for entry_id in entry_ids}
    alike: defaultdict[str, int] = defaultdict(int)
    for title in shown.values():
        alike[title] += 1
    return {
        entry_id: (title, f" ({one_line(entry_id)})" if alike[title] > 1 else "") for entry_id, title in shown.items()
    }


def _near_ties(run: Run, turn: TurnOutcome) -> dict[str, frozenset[str]]:
    near: dict[str, frozenset[str]] = {}
    for side in run.others:
        diff = turn.diffs.get(side.label)
        if diff is not None:
            near |= {run.baseline.label: diff.near_ties_a, side.label: diff.near_ties_b}
    return near


def _is_near_tie(lists: Lists, entry_id: str, labels: Iterable[str]) -> bool:
    return any(entry_id in lists.near_ties.get(label, frozenset()) for label in labels)


def _baseline_rows(lists: Lists, run: Run, compared: Sequence[Side], *, is_pair: bool) -> tuple[Row, ...]:
    label = run.baseline.label
    rows = []
    for rank, entry_id in enumerate(lists.surfaced.get(label, ()), start=1):
        lacking = [side.label for side in compared if entry_id not in lists.surfaced[side.label]]
        letters = "" if len(lacking) == len(compared) else "".join(lacking)
        rows.append(
            Row(
                f"-{letters}" if lacking else "",
                _is_near_tie(lists, entry_id, [label, *lacking]),
                rank,
                *lists.names[entry_id],
                _places(lists, run, compared, entry_id, rank, is_pair=is_pair),
                ONLY_A if lacking else PLAIN,
            )
        )
    return tuple(rows)


def _other_rows(lists: Lists, run: Run, side: Side, *, is_compared: bool) -> tuple[Row, ...]:
    label = run.baseline.label
    rows = []
    for rank, entry_id in enumerate(lists.surfaced.get(side.label, ()), start=1):
        is_new = is_compared and entry_id not in lists.surfaced[label]
        rows.append(
            Row(
                "+" if is_new else "",
                _is_near_tie(lists, entry_id, [side.label, label] if is_new else [side.label]),
                rank,
                *lists.names[entry_id],
                _place(lists, run, label, entry_id, rank, "was") if is_compared else "",
                ONLY_B if is_new else PLAIN,
            )
        )
    return tuple(rows)


def _places(lists: Lists, run: Run, compared: Sequence[Side], entry_id: str, rank: int, *, is_pair: bool) -> str:
    """Where the others put an entry of the baseline: spelled out for one, `B▸4 C·22` for several."""
    if is_pair:
        return " ".join(_place(lists, run, side.label, entry_id, rank, "now") for side in compared)
    return " ".join(_short_place(lists, run, side.label, entry_id, rank) for side in compared)


def _place(lists: Lists, run: Run, label: str, entry_id: str, rank: int, verb: str) -> str:
    there = lists.ranks[label].get(entry_id)
    if there is None:
        return "· unranked"
    if entry_id in lists.surfaced[label]:
        return "=" if there == rank else f"▸ {there}"
    return f"· {verb} {there}" + (" cut" if there <= run.config.top_k else "")


def _short_place(lists: Lists, run: Run, label: str, entry_id: str, rank: int) -> str:
    there = lists.ranks[label].get(entry_id)
    if there is None:
        return f"{label}·–"
    if entry_id in lists.surfaced[label]:
        return f"{label}=" if there == rank else f"{label}▸{there}"
    return f"{label}·{there}" + (" cut" if there <= run.config.top_k else "")


def _column(lists: Lists, turn: ReplayedTurn, side: Side, rows: tuple[Row, ...]) -> Column:
    if side.label not in lists.surfaced:
        reasons = [one_line(failure.reason) for failure in turn.failures if failure.side == side.label]
        return Column(side, (), f"failed: {'; '.join(reasons) or 'it gave no ranking'}", failed=True)
    if rows:
        return Column(side, rows)
    if not turn.pool.entries:
        return Column(side, (), "nothing: the pool is empty")
    return Column(side, (), "nothing" if side.min_score is None else f"nothing at or above {side.min_score:g}")


def heading_of(side: Side) -> str:
    """The side as a column is headed: label, name, and the score that it must reach to be shown."""
    threshold = "" if side.min_score is None else f" ≥ {side.min_score:g}"
    return f"{side.label} {one_line(side.name)}{threshold}"


def column_cells(width: int, columns: int) -> int:
    """Cells of each column, where that many stand side by side."""
    return (width - cells(DIVIDER) * (columns - 1)) // columns


def _sign_cells(column: Column) -> int:
    return 1 + max((len(row.sign) for row in column.rows), default=1)


def _block(column: Column, width: int, top_k: int, sign_cells: int) -> list[Line]:
    """Heading and rows of one column, each at most `width` cells."""
    sign_cells = max(sign_cells, 2)
    rank_cells = len(str(top_k))
    indent = " " * (sign_cells + rank_cells + 2)
    block: list[Line] = [[Span(indent), Span(clip(heading_of(column.side), width - len(indent)), BOLD)]]
    style = FAILED if column.failed else DIM
    if column.message:
        messages = wrap(column.message, width - len(indent), REASON_LINES)
        block += [[Span(indent), Span(message, style)] for message in messages]
    return block + [_row(row, width, sign_cells, rank_cells) for row in column.rows]


def _row(row: Row, width: int, sign_cells: int, rank_cells: int) -> Line:
    mark = NEAR_TIE if row.is_near_tie else ""
    lead = f"{row.sign}{mark}".ljust(sign_cells) + f" {row.rank:>{rank_cells}} "
    room = max(width - len(lead) - cells(row.place) - bool(row.place), 1)
    suffix = clip(row.suffix, max(room - TITLE_START, room // 2))
    title = clip(row.title, room - cells(suffix)) + suffix
    gap = bool(row.place)
    return [
        Span(lead, row.style),
        Span(fit(title, room) if gap else title, row.style),
        Span(" " * gap),
        Span(row.place, MOVED if row.place.startswith("▸") else DIM),
    ]


def _at(block: Sequence[Line], row: int) -> Line:
    return block[row] if row < len(block) else []


def _joined(parts: Sequence[Line], column_width: int) -> Line:
    line: Line = []
    for part in parts[:-1]:
        line += [*padded(part, column_width), Span(DIVIDER, DIM)]
    return line + parts[-1]

"""What the doctor found, drawn: one block per finding, within the width, whatever texts it holds."""

from __future__ import annotations

import json
import re

import pytest

from shadowdiff import __version__
from shadowdiff.findings import Examined, fail, ok, warn
from shadowdiff.render.findings import finding_lines, findings_json
from shadowdiff.render.lines import painter
from shadowdiff.render.text import UNSAFE, cells

HOSTILE = "\x1b[2J [bold red]loud[/] \u202egnp.exe 日本語のタイトル " + "x" * 300
EXAMINED = (
    Examined("source", ok("connection", "PostgreSQL 18.4 at db/rag, 1.2 ms")),
    Examined(
        "source",
        warn("role", "me may write chat", "connect as another:\nCREATE ROLE r LOGIN;\nGRANT SELECT ON c TO r;"),
    ),
    Examined("entries", fail("leak", f"turn {HOSTILE} has another org's entry", f"mend {HOSTILE}")),
    Examined("entries", fail(HOSTILE, "what")),
)


def drawn(width: int, *, color: bool = False) -> list[str]:
    """The lines."""
    return list(finding_lines(EXAMINED, width, painter(color=color)))


def test_the_drawing() -> None:
    """Areas apart, columns aligned, commands on lines of their own, counts at the end."""
    lines = list(finding_lines(EXAMINED[:2], 80, painter(color=False)))
    assert lines == [
        "source",
        "ok    connection         PostgreSQL 18.4 at db/rag, 1.2 ms",
        "warn  role               me may write chat",
        "                         → connect as another:",
        "                           CREATE ROLE r LOGIN;",
        "                           GRANT SELECT ON c TO r;",
        "",
        "1 ok, 1 warning, 0 failed",
    ]


@pytest.mark.parametrize("width", [40, 59, 60, 80, 100, 160])
def test_every_line_fits_and_nothing_is_raw(width: int) -> None:
    """At any width, with texts that would act on a terminal or never end."""
    lines = drawn(width)
    assert max(map(cells, lines)) <= width
    assert not UNSAFE.findall("".join(lines))
    assert "[bold red]loud[/]" in " ".join(" ".join(lines).split())
    assert lines[-1] == "1 ok, 1 warning, 2 failed"


@pytest.mark.parametrize("width", [40, 80])
def test_colour_only_repeats(width: int) -> None:
    """Without its escapes, which only set styles, the coloured drawing is the plain one."""
    coloured = drawn(width, color=True)
    assert any("\x1b[" in line for line in coloured)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == drawn(width)


def test_json() -> None:
    """Everything is there, exact, and ASCII."""
    text = findings_json(EXAMINED)
    assert text.isascii()
    assert not UNSAFE.findall(text.replace("\n", ""))
    document = json.loads(text)
    assert (document["schema"], document["version"]) == ("shadowdiff.doctor/1", __version__)
    assert document["counts"] == {"ok": 1, "warn": 1, "fail": 2}
    assert [finding["status"] for finding in document["findings"]] == ["ok", "warn", "fail", "fail"]
    assert document["findings"][0] == {
        "area": "source",
        "check": "connection",
        "status": "ok",
        "what": "PostgreSQL 18.4 at db/rag, 1.2 ms",
        "do": None,
    }
    assert document["findings"][3]["check"] == HOSTILE

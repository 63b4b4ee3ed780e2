"""What `shadowdiff optimize` prints: as goldens to be read, at every width, and as JSON."""

from __future__ import annotations

import json

import pytest

from shadowdiff.optimize.recommend import RULE
from shadowdiff.render.lines import painter
from shadowdiff.render.optimize import optimize_json, optimize_lines
from shadowdiff.render.text import UNSAFE, cells
from tests.golden.test_render_goldens import SGR, check
from tests.optimize_cases import HOSTILE, WRITTEN, comparison


def drawn(width: int, directory: str = "models/v3", *, color: bool = False) -> str:
    """All lines."""
    paint = painter(color=color)
    return "".join(f"{paint(line)}\n" for line in optimize_lines(directory, WRITTEN, comparison(directory), width))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_golden(width: int) -> None:
    """Files, figures, what cannot be had, and what to use; no line too wide."""
    text = drawn(width)
    assert max(map(cells, text.splitlines())) <= width
    assert all(line == line.rstrip() for line in text.splitlines())
    assert SGR.sub("", drawn(width, color=True)) == text
    check(f"optimize-{width}.txt", text)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_nothing_of_a_hostile_path_is_raw(width: int) -> None:
    """A directory's name is anybody's; the spec stands whole on a line of its own, whatever its length."""
    lines = drawn(width, HOSTILE).splitlines()
    assert not UNSAFE.findall("".join(lines))
    (spec,) = [line for line in lines if line.strip().startswith("-B ")]
    assert spec.endswith(",variant=fused'")
    assert max(cells(line) for line in lines if line is not spec) <= width


def test_the_trap_is_named_only_where_int8_was_measured() -> None:
    """Without a comparison there is nothing to say about scores."""
    assert "scales its activations over the whole batch" in drawn(160)
    alone = "".join(span.text for line in optimize_lines("models/v3", WRITTEN, None, 100) for span in line)
    assert "batch" not in alone
    assert "model.fused.onnx: written" in alone


def test_json_says_the_same() -> None:
    """Every figure by name; what cannot be had has no figures; ASCII throughout."""
    text = optimize_json(HOSTILE, WRITTEN, comparison())
    assert text.isascii()
    document = json.loads(text)
    assert document["schema"] == "shadowdiff.optimize/1"
    assert document["directory"] == HOSTILE
    assert [item["state"] for item in document["variants"]] == ["written", "refused", "current"]
    reference, fused, int8, bf16 = document["comparison"]["ways"]
    assert reference["measured"]["speed_ratio"] == 1.0
    assert fused["measured"]["turns_changed"] == 0
    assert int8["measured"]["depends_on_mates"] is True
    assert (bf16["measured"], bf16["unavailable"][:13]) == (None, "not available")
    recommended = document["comparison"]["recommendation"]
    assert (recommended["spec"], recommended["rule"]) == ("onnx:models/v3,variant=fused", RULE)


def test_json_without_a_comparison() -> None:
    """`comparison` is null."""
    assert json.loads(optimize_json("m", WRITTEN, None))["comparison"] is None

"""What is written into shadowdiff.toml reads back as it was."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.config_template import toml_text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_reads_back_from_toml(text: str) -> None:
    """Quotes, backslashes, controls and line breaks, alone and over several lines."""
    assert tomllib.loads(f"key = {toml_text(text)}\n")["key"] == text

"""Redaction over any text: done once it is done, whatever stands around a secret."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.config import REDACTIONS, PrivacySettings
from shadowdiff.privacy import redactor

ALL = redactor(
    PrivacySettings(redact=REDACTIONS, phone_regions=("DE",), patterns={"ticket": r"T-\d+", "low": "[a-c]+@"})
)
SECRETS = (
    "joe@example.com",
    "x%40example.com",
    "4111 1111 1111 1111",
    "3782-822463-10005",
    "+49 30 901820",
    "(415) 555-2671",
    "030 901820",
    "AKIAIOSFODNN7EXAMPLE",
    "sk-abcdefghijklmnopqrst",
    "bearer abcdefghijklmnopqrst",
    "token=abc12345678",
    "://me:secret@db.example.com",
    "T-12",
    "[email]",
    "-----BEGIN PRIVATE KEY-----",
)
pieces = st.one_of(st.sampled_from(SECRETS), st.text(max_size=6), st.sampled_from(list("@.:/+-()[] 014aT\n")))
texts = st.lists(pieces, max_size=12).map("".join)


@given(texts)
def test_redacting_twice_changes_nothing(text: str) -> None:
    """The second pass finds nothing, also where the first brought secrets' neighbours together."""
    once = ALL.text(text)
    assert ALL.text(once) == once


@given(st.text(alphabet="ab \n,;é日", max_size=20), st.text(alphabet="ab \n,;é日", max_size=20))
def test_a_secret_is_found_wherever_it_stands(before: str, after: str) -> None:
    """Between any words, none of it is left."""
    for secret in ("joe@example.com", "4111 1111 1111 1111", "+49 30 901820", "AKIAIOSFODNN7EXAMPLE"):
        assert secret not in ALL.text(f"{before} {secret} {after}")


@given(st.text(alphabet=st.characters(categories=("L", "Z", "P"), exclude_characters="@＠:="), max_size=200))
def test_text_without_digits_and_signs_is_left_alone(text: str) -> None:
    """Letters and punctuation alone hold no address, number or key of the list, but for key-like words."""
    plain = redactor(PrivacySettings(redact=("email", "card", "phone")))
    assert plain.text(text) == text

"""Languages of sessions: their own tags first, else found in all that was typed, and never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.evaluation.languages import UNSURE, language_of, languages
from shadowdiff.evaluation.segments import segments
from shadowdiff.evaluation.turns import LabelledTurn
from shadowdiff.records import Session, Turn
from shadowdiff.runs import Estimate
from shadowdiff.sources.bundle import Bundle

THEN = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
ASKED = {
    "de": ("Wie kann ich mein Passwort zurücksetzen?", "und wo finde ich die Rechnung vom März?"),
    "en": ("How do I reset my password?", "and where is the invoice for March?"),
    "es": ("¿Cómo restablezco mi contraseña?", "¿y dónde está la factura de marzo?"),
    "fr": ("Comment réinitialiser mon mot de passe ?", "et où trouver la facture de mars ?"),
    "ja": ("パスワードをリセットするにはどうすればよいですか", "請求書はどこですか"),
    "ko": ("비밀번호를 어떻게 재설정하나요?", "청구서는 어디에 있나요?"),
    "nl": ("Hoe kan ik mijn wachtwoord opnieuw instellen?", "en waar vind ik de factuur van maart?"),
    "ru": ("Как сбросить пароль?", "и где найти счёт за март?"),
    "zh": ("如何重置我的密码?", "三月份的发票在哪里可以找到?"),
}


def session(name: str, queries: tuple[str, ...], **tags: object) -> Session:
    """With one turn per query."""
    turns = tuple(Turn(f"{name}-{at}", at, query, THEN) for at, query in enumerate(queries, start=1))
    return Session(name, "acme", THEN, turns, tags)


def test_a_session_of_two_questions_suffices() -> None:
    """In languages near to each other and of other scripts; one wide letter says as much as two."""
    assert languages(session(name, queries) for name, queries in ASKED.items()) == {name: (name,) for name in ASKED}


def test_the_sample_is_detected_as_it_is_tagged(sample: Bundle) -> None:
    """None of its conversations is taken for another language than its tag says, and hardly one is unsure."""
    said = {one.session_id: (str(one.tags["language"]),) for one in sample.sessions}
    found = languages(replace(one, tags={}) for one in sample.sessions)
    assert languages(sample.sessions) == said
    unsure = {name for name, names in found.items() if names == (UNSURE,)}
    assert {name: found[name] for name in found.keys() - unsure} == {name: said[name] for name in said.keys() - unsure}
    assert len(unsure) <= 1


@pytest.mark.parametrize(
    "text", ["", "sso?", "Passwort vergessen", "403 500 502 " * 20, "Wie? " * 3, "发票在哪里?", "<a>" * 40]
)
def test_what_says_too_little_is_unsure(text: str) -> None:
    """Few letters, however clear they may be to a reader; and numbers or markup."""
    assert language_of(text) == UNSURE


@given(st.text())
def test_any_text_has_one_answer(text: str) -> None:
    """Lone surrogates and control characters among it, the same answer each time."""
    assert language_of(text) == language_of(text)


def test_a_session_s_own_tag_counts() -> None:
    """Before what would be found, as it stands, `language` before `lang`; an empty one says nothing."""
    found = languages(
        [
            session("a", ASKED["de"], language="en-GB", lang="xx"),
            session("b", ASKED["de"], lang=["de", "de", "fr"]),
            session("c", ASKED["de"], language=None, lang=""),
        ]
    )
    assert found == {"a": ("en-GB",), "b": ("de", "fr"), "c": ("de",)}


def test_one_language_is_no_dimension() -> None:
    """Nor is it with sessions that are not sure beside it; a tag makes no second dimension."""
    english, short = session("a", ASKED["en"]), session("b", ("sso?",))
    assert languages([english, short]) == {}
    assert dimensions([english, short]) == {"query length"}
    tagged = [session("a", ASKED["en"], lang="en", plan="pro"), session("b", ASKED["en"], lang="de", plan="free")]
    assert dimensions(tagged) == {"language", "tag plan"}


def dimensions(sessions: list[Session]) -> set[str]:
    """By which the first turns of these sessions fall into segments."""
    turns = [LabelledTurn(one, one.turns[0].turn_id, 1, one.turns[0].query, {}, (), {}, {}) for one in sessions]
    row = [0.0] * len(turns)
    return {part.dimension for part in segments(turns, {"A": row, "B": row}, {"B": Estimate(0.0)})[0]}


def test_without_the_library_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tagged counts still."""
    monkeypatch.setattr("shadowdiff.evaluation.languages._identifier", lambda: None)
    assert languages(session(name, queries) for name, queries in ASKED.items()) == {}
    assert languages([session("a", ASKED["de"], lang="de"), session("b", ASKED["en"], lang="en")]) == {
        "a": ("de",),
        "b": ("en",),
    }

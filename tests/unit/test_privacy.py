"""Redaction: what is found, what is left alone, and that no text can make it slow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shadowdiff.config import REDACTIONS, PrivacySettings
from shadowdiff.errors import ConfigError, RerankerError
from shadowdiff.privacy import NO_REDACTION, Redactor, redactor, textless
from shadowdiff.records import (
    Entry,
    MissingText,
    Pool,
    PoolEntry,
    PoolOrigin,
    Ranking,
    RecordedEntry,
    ReplayedSession,
    ReplayedTurn,
    Session,
    Turn,
    TurnFailure,
)
from shadowdiff.replay.plan import rank_turns
from shadowdiff.replay.score import NoCache
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.rrf import ReciprocalRankFusion
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import FailingReranker, make_turn

AT = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)
ALL = redactor(PrivacySettings(redact=REDACTIONS))
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to a.b+c@exa-mple.co.uk.", "write to [email]."),
        ("<müller@straße.de>", "<[email]>"),
        ("(o'hara@x.io)", "([email])"),
        ("?u=joe%40example.com&x=1", "?u=[email]&x=1"),
        ("a@b@example.com", "a@[email]"),
        ("me@xn--bcher-kva.example", "[email]"),
    ],
)
def test_email_addresses(text: str, expected: str) -> None:
    """Plain, tagged, accented, in brackets, in the query of a URL."""
    assert ALL.text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111111111111111", "[card]"),
        ("my card 4111 1111 1111 1111, 12/27", "my card [card], 12/27"),
        ("4111-1111-1111-1111 12 27 999", "[card] 12 27 999"),
        ("3782 822463 10005", "[card]"),
        ("5555\u00a05555\u00a05555\u00a04444", "[card]"),
        ("no 17 4111 1111 1111 1111", "no 17 [card]"),
        ("4111111111111112", "4111111111111112"),
        ("41111111111111111111111111", "41111111111111111111111111"),
    ],
)
def test_card_numbers(text: str, expected: str) -> None:
    """With blanks, hyphens or nothing between the groups, among other numbers; not where the check digit is wrong."""
    assert ALL.text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call +49 30 901820 now", "call [phone] now"),
        ("call 0049 30 901820", "call [phone]"),
        ("+1 (415) 555-2671", "[phone]"),
        ("+15551234567", "[phone]"),
        ("tel:+44-20-7946-0958", "tel:[phone]"),
        ("(555) 123-4567 or 1-555-123-4567", "[phone] or [phone]"),
        ("030 901820", "030 901820"),
    ],
)
def test_phone_numbers(text: str, expected: str) -> None:
    """In international form, and in the North American grouping; national forms only where a region is named."""
    assert ALL.text(text) == expected


def test_national_phone_numbers() -> None:
    """`phone_regions` finds numbers as they are dialled in those countries."""
    regional = redactor(PrivacySettings(redact=("phone",), phone_regions=("DE", "GB")))
    assert regional.text("030 901820, 020 7946 0958") == "[phone], [phone]"
    with pytest.raises(ConfigError, match=r"\[privacy\] phone_regions knows no 'Germany'"):
        redactor(PrivacySettings(phone_regions=("Germany",)))


@pytest.mark.parametrize(
    "secret",
    [
        PEM,
        JWT,
        "AKIAIOSFODNN7EXAMPLE",
        "sk-ant-api03-abcdefghijklmnop",
        "sk_live_abcdefghij1234",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_abcdefghijklmnopqrst",
        "glpat-abcdefghijklmnopqrst",
        "xoxb-1234567890-abcdef",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz012345",
        "hf_abcdefghijklmnopqrstuvwxyz",
        "SG.abcdefghijklmnop.abcdefghijklmnop",
        "Bearer abcdefghijklmnop.qrst",
        "api_key = 'abc12345def",
        "Password: hunter2hunter2",
    ],
)
def test_keys(secret: str) -> None:
    """The whole of it goes, and the words around it stay."""
    assert ALL.text(f"here: {secret} and so on") == "here: [key] and so on"


def test_a_private_key_without_end_goes_to_the_end() -> None:
    """A text that was cut inside a key gives none of it away."""
    assert ALL.text("x " + PEM[:45]) == "x [key]"


def test_a_url_keeps_its_host() -> None:
    """User and password go; where they led to stays."""
    assert ALL.text("postgresql://me:secret@db.example.com/x") == "postgresql://[key]@db.example.com/x"


@pytest.mark.parametrize(
    "text",
    [
        "version 3.14159265358979 of 2026-11-19 14:02, order 12345678901234",
        "C++ 11, +5 points, $1,200.00, AES-256, SOC 2 Type II, ISO 27001:2022",
        "id 6f1c2b34-5d6e-4f70-8a9b-0c1d2e3f4a5b at 10.0.0.1:5432, task-force, risk-based",
        "the password: required, a token: see below; @mention, user@localhost",
        "",
        "[email] [phone] [card] [key]",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Dates, versions, ids, prices, and what has been redacted already."""
    assert ALL.text(text) == text


def test_only_what_is_asked_for() -> None:
    """Without names nothing is redacted; with one, only that."""
    text = "a@example.com, 4111 1111 1111 1111"
    assert redactor(PrivacySettings(redact=("card",))).text(text) == "a@example.com, [card]"
    assert NO_REDACTION.text(text) == redactor(PrivacySettings()).text(text) == text
    assert not redactor(PrivacySettings())
    assert ALL


def test_own_patterns() -> None:
    """By their name, beside the built-in ones; an empty match replaces nothing; placeholders stay whole."""
    own = redactor(PrivacySettings(redact=("email",), patterns={"ticket": r"(?i)t-\d+|x*", "word": "mail|ema"}))
    assert own.text("T-12, t-3: a@example.com") == "[ticket], [ticket]: [email]"
    greedy = redactor(PrivacySettings(patterns={"all": ".+"}))
    assert greedy.text("one\ntwo") == "[all]\n[all]"
    assert greedy.text(greedy.text("one")) == "[all]"


def test_every_built_in_name_redacts_something() -> None:
    """The names that the configuration accepts are those that exist."""
    text = "a@example.com 4111111111111111 +49 30 901820 AKIAIOSFODNN7EXAMPLE"
    for name in REDACTIONS:
        assert f"[{name}]" in redactor(PrivacySettings(redact=(name,))).text(text)


HOSTILE = ["1", "4 ", "4", "a", "a@", "a.", "a@a.", "a%40", "://", "://:", "://a:", "token=", "password: ", "bearer "]
HOSTILE += [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ",
    "-----END ",
    "eyJ",
    "eyJaaaaaaaa.",
    "sk-",
    "SG.",
    "xox",
    "AKIA",
]
HOSTILE += ["+", "+1", "(", "(1", "00", "1 - ", " ", "=", "[email]", "\ud83d", "é", "xn--"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_makes_it_slow(piece: str) -> None:
    """Half a megabyte of what sends a careless pattern back and forth: in quadratic time this never ends."""
    text = "x@" + piece * (500_000 // len(piece))
    assert len(ALL._redacted(text)) <= len(text)


def replayed() -> ReplayedSession:
    """A session with something to hide in every text."""
    entry = Entry("acme", "e@example.com", "Ask a@example.com", "Pay 4111 1111 1111 1111")
    recorded = (RecordedEntry(entry.entry_id, 0.5, "t@example.com", "b@example.com"),)
    turn = Turn("t@example.com", 1, "q@example.com?", AT, "s@example.com", "r@example.com", recorded, (entry.entry_id,))
    session = Session("s@example.com", "acme", AT, (turn,), {"by": ["u@example.com", 3, {"v@example.com": None}]})
    failures = (TurnFailure("B", "ValueError: q@example.com?", "ValueError"), TurnFailure("C", "no pool"))
    ranking = Ranking((entry.entry_id,), (1.0,))
    pool = Pool((PoolEntry(entry, 1, 0.5),), PoolOrigin.RECORDED)
    return ReplayedSession(session, (ReplayedTurn(turn, pool, {"A": ranking}, failures),))


def texts_of(replayed: ReplayedSession) -> list[str]:
    """Every text, without ids."""
    turn, entry = replayed.turns[0].turn, replayed.turns[0].pool.entries[0].entry
    recorded = (turn.recorded_pool or ())[0]
    texts = [turn.query, turn.search_query, turn.answer, recorded.title, recorded.body, entry.title, entry.body]
    reasons = [failure.reason for failure in replayed.turns[0].failures]
    return (
        [text or "" for text in texts] + reasons + [repr(replayed.session.tags), repr(replayed.session.turns[0].query)]
    )


def test_a_redacted_session_is_the_same_session() -> None:
    """Every text is redacted, tags and reasons too; ids, the pool's hash and the ranking are what they were."""
    before = replayed()
    after = ALL.replayed(before)
    assert not any("example.com" in text or "4111" in text for text in texts_of(after))
    assert after.session.tags == {"by": ["[email]", 3, {"[email]": None}]}
    assert after.turns[0].pool.hash == before.turns[0].pool.hash
    assert after.turns[0].pool.entry_ids == before.turns[0].pool.entry_ids
    assert (after.turns[0].turn.turn_id, after.turns[0].rankings) == ("t@example.com", before.turns[0].rankings)
    assert after.turns[0].turn.served == ("e@example.com",)
    assert Redactor().replayed(before) == before


def test_a_textless_session_keeps_ids_hashes_and_figures() -> None:
    """No text is left but reasons that quote none; both hashes are those of the texts that are gone."""
    before = replayed()
    after = textless(before)
    assert texts_of(after) == [*[""] * 7, "ValueError", "no pool", "{}", "''"]
    turn, entry = after.turns[0].turn, after.turns[0].pool.entries[0].entry
    assert turn.missing_text is entry.missing_text is MissingText.NOT_STORED
    assert (turn.query_hash, entry.content_hash) == (
        before.turns[0].turn.query_hash,
        before.turns[0].pool.entries[0].entry.content_hash,
    )
    assert after.turns[0].pool.hash == before.turns[0].pool.hash
    assert replace(turn, original_hash=None).query_hash != turn.query_hash


def test_reasons_that_quote_nothing_are_kept() -> None:
    """Our own words hold ids and numbers only; of a stranger's error no more than its type is, also inside a fusion."""
    plain = build(parse("rrf:cosine+served"))
    foreign = ReciprocalRankFusion(
        parse("rrf:a+b"), [("a", FailingReranker(lambda _: True, ValueError("secret")))] * 2, 60
    )
    turn = replace(make_turn(["a document"]), vectors=None)
    reasons = [rank_turns(reranker, [turn], NoCache())[0] for reranker in (plain, foreign, FailingReranker(bool))]
    assert all(isinstance(reason, RerankerError) for reason in reasons)
    kept = [reason.textless for reason in reasons if isinstance(reason, RerankerError)]
    assert kept[0] == str(reasons[0])
    assert "an embedding of this turn" in kept[0]
    assert "secret" in str(reasons[1])
    assert kept[1] == "ValueError (its message is not stored, as it may quote a text)"
    assert kept[2] == "RerankerError (its message is not stored, as it may quote a text)"

"""What must not leave: e-mail addresses, phone numbers, card numbers, keys and the user's own patterns become `[name]`.

A short list, read one by one, and phonenumbers (Google's libphonenumber) for
phone numbers. Where it errs, it takes too much. Every built-in pattern takes
time in proportion to the text, whatever the text is: starts are tied to a place
that no other start shares, and repetition is possessive (`++`) or bounded. The
user's own patterns are as quick as they are written.

Ids, times, scores and hashes are never touched: a redacted record is the same
one, and hashes to the same value.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any

from shadowdiff.config import PrivacySettings
from shadowdiff.errors import ConfigError
from shadowdiff.records import (
    Entry,
    MissingText,
    Pool,
    PoolEntry,
    RecordedEntry,
    ReplayedSession,
    ReplayedTurn,
    Session,
    Turn,
    TurnFailure,
)

Spans = Iterable[tuple[int, int]]
Finder = Callable[[str], Spans]
"""Where a text holds what must not be seen: start and end, in order, without overlap."""

TEXTS_KEPT = 4_096
"""Redacted texts remembered, because an entry stands in many pools."""
PASSES = 10
"""Redacting can uncover more (a number's neighbour is gone); two passes do in practice."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern."""

    name: str
    find: Finder


class Pattern:
    """A regular expression, run only where one of the needles stands: looking for those is a hundred times quicker."""

    def __init__(self, pattern: str, needles: tuple[str, ...] = ("",)) -> None:
        self._pattern = re.compile(pattern)
        self._needles = needles

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it matches."""
        if any(needle in text for needle in self._needles):
            yield from (match.span() for match in self._pattern.finditer(text))


class Redactor:
    """Replaces what its rules find by `[name]`. Without rules every text comes back as it is, and it is falsy.

    Redacting twice changes nothing.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        names = "|".join(sorted({re.escape(rule.name) for rule in self._rules}))
        self._placeholder = re.compile(rf"\[(?:{names})\]")
        self._remembered = lru_cache(TEXTS_KEPT)(self._redacted)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def text(self, text: str) -> str:
        """The text without what the rules find."""
        return self._remembered(text) if self._rules else text

    def value(self, value: Any) -> Any:
        """A JSON value with every string in it redacted, keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list | tuple) else value

    def entry(self, entry: Entry) -> Entry:
        """The entry with title and body redacted, and the content hash that it had."""
        title, body = self.text(entry.title), self.text(entry.body)
        if (title, body) == (entry.title, entry.body):
            return entry
        return replace(entry, title=title, body=body, original_hash=entry.content_hash)

    def pool(self, pool: Pool) -> Pool:
        """The pool with its entries redacted; its hash is what it was."""
        return replace(pool, entries=tuple(replace(item, entry=self.entry(item.entry)) for item in pool.entries))

    def turn(self, turn: Turn) -> Turn:
        """The turn with query, search query, answer and recorded texts redacted."""
        recorded = turn.recorded_pool
        return replace(
            turn,
            query=self.text(turn.query),
            search_query=self._optional(turn.search_query),
            answer=self._optional(turn.answer),
            recorded_pool=None if recorded is None else tuple(map(self._recorded, recorded)),
        )

    def session(self, session: Session) -> Session:
        """The session with its turns and tags redacted."""
        return replace(session, turns=tuple(map(self.turn, session.turns)), tags=self.value(session.tags))

    def replayed(self, replayed: ReplayedSession) -> ReplayedSession:
        """A replayed session with everything redacted that would be stored: pools and reasons of failures too."""
        if not self._rules:
            return replayed
        turns = tuple(map(self._replayed_turn, replayed.turns))
        return ReplayedSession(self.session(replayed.session), turns)

    def _replayed_turn(self, replayed: ReplayedTurn) -> ReplayedTurn:
        failures = tuple(replace(failure, reason=self.text(failure.reason)) for failure in replayed.failures)
        return replace(replayed, turn=self.turn(replayed.turn), pool=self.pool(replayed.pool), failures=failures)

    def _recorded(self, recorded: RecordedEntry) -> RecordedEntry:
        return replace(recorded, title=self._optional(recorded.title), body=self._optional(recorded.body))

    def _optional(self, text: str | None) -> str | None:
        return None if text is None else self.text(text)

    def _redacted(self, text: str) -> str:
        for _ in range(PASSES):
            before = text
            for rule in self._rules:
                text = self._replaced(rule, text)
            if text == before:
                break
        return text

    def _replaced(self, rule: Rule, text: str) -> str:
        """The text with what the rule finds replaced, but for what is a placeholder already, or a part of one."""
        parts, end = [], 0
        kept = _Spans(match.span() for match in self._placeholder.finditer(text))
        for start, stop in rule.find(text):
            if start < stop and not kept.hold(start, stop):
                parts += [text[end:start], f"[{rule.name}]"]
                end = stop
        return "".join([*parts, text[end:]]) if parts else text


NO_REDACTION = Redactor()
"""Leaves every text as it is."""


def redactor(settings: PrivacySettings) -> Redactor:
    """The redactor that [privacy] asks for. Raises ConfigError for an unknown phone region."""
    _check_regions(settings.phone_regions)
    built_in: dict[str, list[Finder]] = {
        "key": [*KEYS],
        "email": [*EMAILS],
        "card": [_cards],
        "phone": [_international_phones, NORTH_AMERICAN_PHONE, *map(_national_phones, settings.phone_regions)],
    }
    asked = [Rule(name, find) for name, finders in built_in.items() if name in settings.redact for find in finders]
    own = [Rule(name, Pattern(pattern)) for name, pattern in settings.patterns.items()]
    return Redactor([*asked, *own])


def textless(replayed: ReplayedSession) -> ReplayedSession:
    """A replayed session with ids, hashes and figures only: no queries, answers, tags, entries or quoted reasons."""
    session = replayed.session
    bare = replace(session, turns=tuple(map(_textless_turn, session.turns)), tags={})
    return ReplayedSession(bare, tuple(map(_textless_replayed, replayed.turns)))


def _textless_replayed(replayed: ReplayedTurn) -> ReplayedTurn:
    pool = replayed.pool
    entries = tuple(PoolEntry(_textless_entry(item.entry), item.rank, item.score) for item in pool.entries)
    return replace(
        replayed,
        turn=_textless_turn(replayed.turn),
        pool=replace(pool, entries=entries),
        failures=tuple(TurnFailure(failure.side, failure.textless or failure.reason) for failure in replayed.failures),
    )


def _textless_turn(turn: Turn) -> Turn:
    recorded = turn.recorded_pool
    return replace(
        turn,
        query="",
        search_query=None,
        answer=None,
        recorded_pool=recorded and tuple(replace(item, title=None, body=None) for item in recorded),
        original_hash=turn.query_hash,
        missing_text=MissingText.NOT_STORED,
    )


def _textless_entry(entry: Entry) -> Entry:
    hashed, missing = entry.content_hash, MissingText.NOT_STORED
    return replace(entry, title="", body="", original_hash=hashed, missing_text=missing)


class _Spans:
    """Spans in order, asked about in order: each is looked at once."""

    def __init__(self, spans: Iterator[tuple[int, int]]) -> None:
        self._spans = spans
        self._current = next(spans, None)

    def hold(self, start: int, stop: int) -> bool:
        """Whether one of them holds all of this span."""
        while self._current is not None and self._current[1] <= start:
            self._current = next(self._spans, None)
        return self._current is not None and self._current[0] <= start and stop <= self._current[1]


_ATOM = r"\w.!#$%&'*+/=?^`{|}~-"
"""What may stand before the @ (RFC 5322 and 6531)."""
_DOMAIN = r"(?:[\w-]++\.)+(?:xn--[\w-]++|[^\W\d_]{2,})"
_ALONE = r"(?<![A-Za-z0-9])"
_KEY_BLOCK = r" [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

EMAILS = (
    Pattern(rf"(?<![{_ATOM}])[{_ATOM}]++[@＠]{_DOMAIN}", ("@", "＠")),
    Pattern(rf"(?<![\w.+-])[\w.+-]++%40{_DOMAIN}", ("%40",)),
)
"""Addresses, and addresses in the query of a URL."""

KEYS = (
    # private keys, to the end of the text where theirs is missing
    Pattern(rf"-----BEGIN{_KEY_BLOCK}(?s:.*?)(?:-----END{_KEY_BLOCK}|\Z)", ("PRIVATE KEY",)),
    # JSON web tokens, signed and encrypted
    Pattern(r"(?<![A-Za-z0-9_-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,3}", ("eyJ",)),
    # AWS key ids
    Pattern(rf"{_ALONE}A(?:BIA|CCA|GPA|IDA|KIA|NPA|NVA|PKA|ROA|SIA)[A-Z0-9]{{16}}(?![A-Za-z0-9])", ("A",)),
    # OpenAI, Anthropic and those who follow them
    Pattern(rf"{_ALONE}sk-[\w-]{{16,}}+", ("sk-",)),
    # Stripe, Razorpay
    Pattern(rf"{_ALONE}(?:[prs]k_(?:live|test)|whsec|rzp_live)_\w{{10,}}+", ("_live_", "_test_", "whsec_")),
    # GitHub
    Pattern(rf"{_ALONE}(?:gh[oprsu]_|github_pat_)\w{{20,}}+", ("gh",)),
    # GitLab
    Pattern(rf"{_ALONE}gl[a-z]{{2,4}}-[\w-]{{20,}}+", ("gl",)),
    # Slack
    Pattern(rf"{_ALONE}(?:xox[a-z](?:\.[a-z]{{1,9}})?|xapp)-[\w-]{{10,}}+", ("xox", "xapp-")),
    # Google
    Pattern(rf"{_ALONE}(?:AIza[\w-]{{30,}}+|ya29\.[\w-]{{20,}}+|GOCSPX-[\w-]{{20,}}+)", ("AIza", "ya29.", "GOCSPX-")),
    # Hugging Face, npm, DigitalOcean, Shopify
    Pattern(rf"{_ALONE}(?:hf|npm|dop_v1|shpat|shpss)_\w{{20,}}+", ("hf_", "npm_", "dop_v1_", "shp")),
    # PyPI, SendGrid, Mailgun
    Pattern(
        rf"{_ALONE}(?:pypi-[\w-]{{40,}}+|SG\.[\w-]{{16,}}+\.[\w-]{{16,}}+|key-[0-9a-f]{{32}})", ("pypi-", "SG.", "key-")
    ),
    # what follows the word Bearer
    Pattern(r"(?i:\bbearer)\s{1,8}+[\w.~+/=-]{16,}+", ("earer", "EARER")),
    # user and password in a URL
    Pattern(r"(?<=://)[^\s:/@]*+:[^\s/@]++(?=@)", ("://",)),
    # secrets after their name, if they hold a digit: `password: required` is none
    Pattern(
        r"(?i:\b(?:api|access|secret|private|auth)?[ _-]?(?:key|secret|token|password|passwd|pwd))"
        r"\s{0,4}+[:=]\s{0,4}+['\"]?(?=[^\s'\"]{0,64}\d)[^\s'\"]{8,}+",
        (":", "="),
    ),
)

NORTH_AMERICAN_PHONE = Pattern(r"(?<![\w+])(?:1[ .-])?(?:\(\d{3}\)[ .-]?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\w)")
"""`(415) 555-2671`: its grouping says what it is, so that no region has to."""
_DIALLED_ZEROS = re.compile(r"(?<![\d+.,])00(?=[1-9])")

_DIGIT_GROUPS = re.compile(r"\d++(?:[ \t.\u00a0\u2010-\u2014-]{1,3}+\d++)*+")
_CARD_DIGITS = range(13, 20)
_CARD_STARTS = frozenset("23456")
"""First digits of card networks: Mastercard 2 and 5, Amex, Diners and JCB 3, Visa 4, Discover, Maestro, UnionPay 6."""
_DOUBLED = tuple(sum(divmod(2 * digit, 10)) for digit in range(10))


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """Neighbouring groups of digits that make 13 to 19 and pass the Luhn check: from each first group, the most."""
    for match in _DIGIT_GROUPS.finditer(text):
        if len(match[0]) >= _CARD_DIGITS.start:
            yield from _cards_among(match.start(), match[0])


def _cards_among(offset: int, text: str) -> Iterator[tuple[int, int]]:
    groups = [match.span() for match in re.finditer(r"\d++", text)]
    if len(groups) == 1 and len(text) >= _CARD_DIGITS.stop:
        return
    digits = [int(character) for start, end in groups for character in text[start:end]]
    ends = list(accumulate(end - start for start, end in groups))
    luhn = _Luhn(digits)
    first = 0
    while first < len(groups):
        begin = ends[first] - (groups[first][1] - groups[first][0])
        last = _last_group(ends, first, begin, luhn) if str(digits[begin]) in _CARD_STARTS else None
        if last is not None:
            yield offset + groups[first][0], offset + groups[last][1]
        first = first + 1 if last is None else last + 1


def _last_group(ends: list[int], first: int, begin: int, luhn: _Luhn) -> int | None:
    """The last group of the longest card that begins with group `first`."""
    found = None
    for last in range(first, min(first + _CARD_DIGITS.stop, len(ends))):
        length = ends[last] - begin
        if length >= _CARD_DIGITS.stop:
            break
        if length in _CARD_DIGITS and luhn.passes(begin, ends[last]):
            found = last
    return found


class _Luhn:
    """The check digit rule over any stretch of a row of digits, in constant time each."""

    def __init__(self, digits: list[int]) -> None:
        """Sums up to each place, with the digits at even, and at odd, places doubled."""
        doubled = ((_DOUBLED[d] if place % 2 == 0 else d) for place, d in enumerate(digits))
        others = ((_DOUBLED[d] if place % 2 == 1 else d) for place, d in enumerate(digits))
        self._sums = (list(accumulate(doubled, initial=0)), list(accumulate(others, initial=0)))

    def passes(self, begin: int, end: int) -> bool:
        """Whether digits[begin:end] end in the right check digit: every second one from the right counts double."""
        sums = self._sums[end % 2]
        return (sums[end] - sums[begin]) % 10 == 0


def _international_phones(text: str) -> Iterator[tuple[int, int]]:
    """Numbers that begin with + or 00 and have as many digits as their country's have."""
    dialled = _DIALLED_ZEROS.sub(" +", text)
    if "+" in dialled or "＋" in dialled:
        from phonenumbers import Leniency

        for start, end in _phones(dialled, None, Leniency.POSSIBLE):
            yield start - (dialled[start] == "+" and text[start] == "0"), end


def _national_phones(region: str) -> Finder:
    """Numbers as they are dialled within a country, valid in its numbering plan."""

    def find(text: str) -> Spans:
        from phonenumbers import Leniency

        return _phones(text, region, Leniency.VALID)

    return find


def _phones(text: str, region: str | None, leniency: int) -> Iterator[tuple[int, int]]:
    from phonenumbers import PhoneNumberMatcher

    for match in PhoneNumberMatcher(text, region, leniency=leniency, max_tries=sys.maxsize):
        yield match.start, match.end


def _check_regions(regions: tuple[str, ...]) -> None:
    if not regions:
        return
    from phonenumbers import SUPPORTED_REGIONS

    unknown = [region for region in regions if region not in SUPPORTED_REGIONS]
    if unknown:
        raise ConfigError(f"[privacy] phone_regions knows no {unknown[0]!r}; it takes codes such as 'DE' and 'GB'")

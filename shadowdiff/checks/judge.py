"""The judge of [judge]: whether it can be built, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from shadowdiff.checks.checkup import Checkup
from shadowdiff.findings import Finding, ok, warn
from shadowdiff.judging.judges import build
from shadowdiff.judging.protocol import JudgeContext
from shadowdiff.protocols import Checkable
from shadowdiff.rerankers.spec import parse


def judge(checkup: Checkup) -> Iterator[Finding]:
    """Built, priced, and asked where and as whom it would ask; nothing where none is named."""
    settings = checkup.settings
    if not settings.judge:
        return
    spec = parse(settings.judge)
    built = build(spec, JudgeContext(settings.providers), offline=settings.privacy.offline)
    yield ok("judge", f"{spec} can be asked")
    with closing(built):
        if isinstance(built, Checkable):
            yield from built.check(checkup.examinee.online)
    if built.network is not None and not {settings.judge, *spec.priced_as} & set(settings.prices):
        yield warn("price", f"{spec} has no price, so that --max-usd cannot hold", f'add [prices."{spec.bare}"]')

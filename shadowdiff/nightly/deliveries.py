"""Reports of nights to where they are wanted: tonight's, and those that did not arrive before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shadowdiff.errors import DeliveryError
from shadowdiff.nightly.report import NightReport
from shadowdiff.nightly.settings import NightlySettings
from shadowdiff.nightly.targets import s3_target, targets
from shadowdiff.nights import Night, Target
from shadowdiff.store.nights import NightStore

MakeReport = Callable[[Night], NightReport]


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers what is undelivered, and records what became of it."""

    settings: NightlySettings
    store: NightStore
    report_of: MakeReport

    def deliver_all(self) -> list[str]:
        """Every report of the configuration that has not arrived, oldest first; returns one line per problem.

        A target that fails is not tried again for the nights after it in the same call.
        """
        problems: dict[Target, str] = {}
        for night, target in self.store.undelivered(self.settings.name, targets(self.settings)):
            if target not in problems and (problem := self._deliver(night, target)):
                problems[target] = problem
        return list(problems.values())

    def _deliver(self, night: Night, target: Target) -> str:
        try:
            self._send(self.report_of(night), target)
        except DeliveryError as error:
            self.store.attempted(night, target, str(error))
            return f"night {night.name}: {error}; its run is stored, and the next call delivers it"
        self.store.attempted(night, target)
        return ""

    def _send(self, report: NightReport, target: Target) -> None:
        if target is Target.DIRECTORY:
            self._write(report)
        elif target is Target.S3:
            self._upload(report)
        else:
            self._post(report)

    def _write(self, report: NightReport) -> Path:
        from shadowdiff.delivery.directory import deliver_directory

        assert self.settings.directory is not None  # noqa: S101 a target only where there is one
        return deliver_directory(self.settings.directory, report.night.name, report.files(), self.settings.name)

    def _upload(self, report: NightReport) -> None:
        from shadowdiff.delivery.s3 import deliver_s3

        with self._at_hand(report) as directory:
            deliver_s3(directory, s3_target(self.settings), report.night.name, **self._limit())

    @contextmanager
    def _at_hand(self, report: NightReport) -> Iterator[Path]:
        """The night's files: where they were delivered to, or for the moment."""
        from shadowdiff.delivery.directory import deliver_directory, not_ours

        base = self.settings.directory
        delivered = None if base is None or not_ours(base, self.settings.name) else base / report.night.name
        if delivered is not None and delivered.is_dir():
            yield delivered
            return
        with tempfile.TemporaryDirectory(prefix="shadowdiff-") as folder:
            yield deliver_directory(Path(folder), report.night.name, report.files())

    def _post(self, report: NightReport) -> None:
        from shadowdiff.delivery.webhook import deliver_webhook, webhook_from
        from shadowdiff.render.message import webhook_message

        settings, night = self.settings, report.night
        url = settings.report_url and settings.report_url.replace("{night}", night.name)
        message = webhook_message(report.run, night, report.surroundings, url)
        deliver_webhook(webhook_from(settings.webhook_env or ""), message, **self._limit())

    def _limit(self) -> dict[str, float]:
        limit = self.settings.delivery_timeout
        return {} if limit is None else {"deadline": limit.total_seconds()}

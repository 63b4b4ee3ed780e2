"""What every command shares: settings, and the source and store that they name."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowdiff.config import Settings, load_settings
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shadowdiff.cli.ending import Ending
    from shadowdiff.retry import Retries
    from shadowdiff.sources.mapping import SourceMapping
    from shadowdiff.sources.postgres import PostgresSource
    from shadowdiff.store.migrate import SchemaStatus
    from shadowdiff.store.runs import RunStore


@dataclass
class Invocation:
    """One call of the command line. Nothing is opened before it is asked for."""

    config_file: Path | None = None
    embedded_only: bool = False
    """Whatever is configured, use the embedded server: the sample must never be written into somebody's production."""
    is_patient: bool = True
    """Whether a database that goes away is waited for; not where somebody sits before the screen and can ask again."""
    ending: Ending | None = None
    """Where set before anything is opened, a lost database is waited for until this end is asked for."""

    _patience: dict[str, Retries] = field(default_factory=dict)
    _statuses: dict[str, SchemaStatus] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        """Raises ConfigError."""
        settings = load_settings(self.config_file)
        if settings.privacy.offline:
            from shadowdiff.rerankers.network import hold_libraries_offline

            hold_libraries_offline()
        return settings

    @cached_property
    def source_url(self) -> str:
        """The database with sessions and knowledge bases. Starts the embedded server where none is configured."""
        configured = None if self.embedded_only else self.settings.database_url
        return configured or self._embedded_url

    @cached_property
    def store_url(self) -> str:
        """The database with runs. Where none is configured: the source's, if that is the own schema, else the embedded.

        Nothing is ever made in a database whose schema is the user's own.
        """
        if self.embedded_only:
            return self._embedded_url
        own = None if self.is_mapped else self.source_url
        return self.settings.store_url or own or self._embedded_url

    @property
    def loading_url(self) -> str:
        """The database that bundles are loaded into. Raises ConfigError where the source is the user's own schema."""
        if self.is_mapped:
            raise ConfigError(
                "[source] maps a schema of your own, which is only ever read; load bundles where this "
                "shadowdiff.toml does not stand, or with --config OTHER.toml"
            )
        return self.source_url

    @property
    def is_mapped(self) -> bool:
        """Whether the source is somebody else's schema, in which nothing of ours may be made."""
        return self.settings.source.is_mapped and not self.embedded_only

    @property
    def needs_embedded(self) -> bool:
        """Whether source or store is the embedded server."""
        settings = self.settings
        return settings.database_url is None or (self.is_mapped and settings.store_url is None)

    @cached_property
    def mapping(self) -> SourceMapping:
        """What is read from where. Raises ConfigError."""
        from shadowdiff.sources.mapping import source_mapping

        return source_mapping(None if self.embedded_only else self.settings.source)

    @cached_property
    def source(self) -> PostgresSource:
        """The source, read-only; the own schema is checked. Raises SourceError, StoreError, ConfigError."""
        from shadowdiff.database import source_engine
        from shadowdiff.sources.postgres import PostgresSource
        from shadowdiff.store.migrate import require_current

        mapping = self.mapping
        engine = source_engine(self.source_url, self.settings.limits)
        if mapping.is_own:
            require_current(engine, "source", found=self._status(self.source_url, engine))
        retries, cache = self._retries(self.source_url), self.settings.text_cache
        return PostgresSource(engine, mapping, retries=retries, cache_directory=cache)

    @cached_property
    def store(self) -> RunStore:
        """The store, its schema checked. Raises StoreError."""
        from shadowdiff.database import store_engine
        from shadowdiff.store.migrate import require_current
        from shadowdiff.store.runs import RunStore

        engine = store_engine(self.store_url, self.settings.limits)
        require_current(engine, "store", found=self._status(self.store_url, engine))
        return RunStore(engine, retries=self._retries(self.store_url))

    def _retries(self, url: str) -> Retries:
        """One patience per database: where source and store are one, it is not waited for twice."""
        from shadowdiff import diagnostics
        from shadowdiff.retry import Retries

        if url not in self._patience:
            how: dict[str, Any] = {"retry_for": self.settings.limits.retry_for if self.is_patient else 0.0}
            if self.ending is not None:
                how = {"retry_for": math.inf, "sleep": self.ending.pause, "is_over": self.ending.is_asked}
            self._patience[url] = Retries(on_wait=diagnostics.warning, **how)
        return self._patience[url]

    def _status(self, url: str, engine: Engine) -> SchemaStatus:
        """Where a database's tables stand, asked once however often it is opened."""
        from shadowdiff.store.migrate import status

        if url not in self._statuses:
            self._statuses[url] = status(engine)
        return self._statuses[url]

    @cached_property
    def _embedded_url(self) -> str:
        """The embedded server's URL; its schema is ours alone, so it is brought up to date without asking."""
        from shadowdiff import diagnostics
        from shadowdiff.database import store_engine
        from shadowdiff.embedded import ensure_running, running_url
        from shadowdiff.store.migrate import BRANCHES, status, upgrade

        home = self.settings.home
        if running_url(home) is None:
            diagnostics.note(f"starting the embedded Postgres in {home}")
        url = ensure_running(home)
        engine = store_engine(url)
        found = status(engine)
        if any(found.lacks(branch) for branch in BRANCHES):
            found = upgrade(engine)
        self._statuses[url] = found
        engine.dispose()
        return url

"""Hears of sessions as they are written into the own schema, through NOTIFY, on a connection of its own."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from shadowdiff.retry import growing_pause

if TYPE_CHECKING:
    from psycopg import Connection, Notify
    from sqlalchemy import Engine

CHANNEL = "shadowdiff_turns"
"""As the migration source_0002 has it."""
ANY_SESSION = ""
"""In place of an id: sessions may have been written of which nothing else is heard."""
SECONDS_BETWEEN_PROBES = 20.0
"""How often a silent connection is asked whether it still lives: firewalls drop those without a word."""
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_FAREWELL_SECONDS = 1.0
"""A server that does not answer is not waited for."""


class Listener:
    """Calls `hear` with the id of each session that is written, from a thread of its own, until it is left.

    What is heard may be repeated. When a connection is lost, and when it is made
    again, ANY_SESSION is heard. The connection is never inside a transaction:
    one that is would hold back the server's queue of notifications.
    """

    def __init__(self, engine: Engine, hear: Callable[[str], None]) -> None:
        self._engine = engine
        self._hear = hear
        self.is_listening = False
        self.refusal = ""
        """Why nothing will ever be heard here; empty where something may be."""

    def __enter__(self) -> Listener:
        self._leaving, self._left = socket.socketpair()
        connection = self._connected()
        self._thread = threading.Thread(target=self._listen, args=(connection,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.close()
        self._thread.join(LONGEST_FAREWELL_SECONDS)

    def _listen(self, connection: Connection | None) -> None:
        """Until it is left, or told that it is of no use."""
        attempt = 0
        with self._left, selectors.DefaultSelector() as until_left:
            until_left.register(self._left, selectors.EVENT_READ)
            while not self.refusal:
                if connection is not None:
                    self._listen_on(connection)
                    attempt = 0
                    self._hear(ANY_SESSION)  # so that whoever waits looks by himself, and sees it if the server is gone
                if until_left.select(growing_pause(attempt, LONGEST_PAUSE_SECONDS)):
                    return
                connection, attempt = self._connected(), attempt + 1
                if connection is not None:
                    self._hear(ANY_SESSION)

    def _listen_on(self, connection: Connection) -> None:
        """Until the connection is lost, or the listener is left."""
        from psycopg import Error

        try:
            with connection, selectors.DefaultSelector() as selector:
                heard = selector.register(connection.fileno(), selectors.EVENT_READ)
                selector.register(self._left, selectors.EVENT_READ)
                while all(key == heard for key, _ in selector.select(SECONDS_BETWEEN_PROBES)):
                    connection.execute("SELECT 1")  # hands over what has come, and fails where nothing can
        except (Error, OSError):
            pass
        finally:
            self.is_listening = False

    def _connected(self) -> Connection | None:
        """A connection that listens; None where there is none, or none that could."""
        from psycopg import Error

        try:
            connection = self._own_connection()
        except (DBAPIError, Error):
            return None
        try:
            self.refusal = self._refused(connection)
        except Error:
            self.refusal = ""
            connection.close()
            return None
        if self.refusal:
            connection.close()
            return None
        self.is_listening = True
        return connection

    def _own_connection(self) -> Connection:
        """Made as the engine makes them, and taken out of its pool."""
        pooled = self._engine.raw_connection()
        connection: Connection = pooled.driver_connection  # type: ignore[assignment]
        pooled.detach()
        connection.rollback()
        connection.autocommit = True
        connection.add_notify_handler(self._heard)
        return connection

    def _heard(self, notification: Notify) -> None:
        self._hear(notification.payload)

    def _refused(self, connection: Connection) -> str:
        """Begin to listen, or say why that is of no use here."""
        from psycopg.errors import ReadOnlySqlTransaction

        found = connection.execute("SELECT pg_backend_pid()").fetchone()
        if found is None or found[0] != connection.info.backend_pid:
            # To listen would be a setting of a session that serves the product's own clients a moment later.
            return "a pooler stands between, and hands out the server's connections by turns"
        try:
            connection.execute(f"LISTEN {CHANNEL}".encode())
        except ReadOnlySqlTransaction:
            return "it is a standby, and a standby passes on no notifications"
        return ""

"""The state of the stream alarm on disk: SQLite, so that a kill loses the last second at most."""

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from offmap.attempt import Failure, InputError, attempt, readable
from offmap.guard.serve.logs import say

TABLE = "CREATE TABLE IF NOT EXISTS alarms (guard TEXT PRIMARY KEY, state TEXT NOT NULL)"
WRITE = "INSERT INTO alarms VALUES (?, ?) ON CONFLICT (guard) DO UPDATE SET state = excluded.state"


class Store:
    """One file that holds the state of each guard's alarm. One process at a time has it.

    Args:
        path: The file; made if there is none.

    Raises:
        InputError: If it is no SQLite file, cannot be written, or another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = readable(self._opened, str(path), "used to keep the state of the alarm")

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=1.0, check_same_thread=False, isolation_level=None
        )
        try:
            # Exclusive: a second service on the same file would write over this one's state.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a power cut, too
            connection.execute(TABLE)
            connection.execute("BEGIN IMMEDIATE")  # takes the lock now, not at the first write
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            connection.close()
            if "locked" in str(error):
                raise InputError(
                    f"{self.path}: expected a file of our own, got one that another service uses: "
                    "stop that service, or name another file with --state"
                ) from error
            raise
        return connection

    def read(self, guard: str) -> str | None:
        """The state of that guard's alarm; None if there is none yet."""
        with self._lock:
            query = "SELECT state FROM alarms WHERE guard = ?"
            row = self._connection.execute(query, (guard,)).fetchone()
        return None if row is None else str(row[0])

    def write(self, guard: str, state: str) -> None:
        """Keep the state of that guard's alarm: on disk when this returns.

        Raises:
            sqlite3.Error: If the disk does not take it. What it held before stays.
        """
        with self._lock:
            self._connection.execute(WRITE, (guard, state))

    def close(self) -> None:
        """Give the file free."""
        with self._lock:
            self._connection.close()


class Keeper:
    """Writes a state twice a second where it has changed, and at the end.

    A disk that does not take it stops nothing: `trouble` says so until a write succeeds.

    Args:
        store: Where to.
        guard: Whose state it is.
        state: Gives the state of the moment.
        failed: Called on each write that fails.
        seconds: Between writes.
    """

    def __init__(
        self,
        store: Store,
        guard: str,
        state: Callable[[], str],
        failed: Callable[[], None],
        seconds: float = 0.5,
    ) -> None:
        self._store, self._guard, self._state, self._failed = store, guard, state, failed
        self._seconds = seconds
        self._written: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="offmap-state", daemon=True)
        self.trouble: str | None = None

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write for the last time, and let go of the file."""
        self._stopped.set()
        self._thread.join()
        self._write()
        self._store.close()

    def _keep(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._write()

    def _write(self) -> None:
        state = self._state()
        if state == self._written:
            return
        done = attempt(lambda: self._store.write(self._guard, state))
        if isinstance(done, Failure):
            if self.trouble is None:
                say("the state of the alarm is not kept", logging.ERROR, cause=done.summary)
            self.trouble = "the state of the stream alarm cannot be written to its file"
            self._failed()
            return
        if self.trouble is not None:
            say("the state of the alarm is kept again")
        self.trouble, self._written = None, state

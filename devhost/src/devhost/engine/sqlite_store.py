"""The state of the engine in one SQLite file (WAL), and the lock that excludes a second process."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from devhost.engine.model import Instance
from devhost.engine.store import (
    Changes,
    Loaded,
    entity_from,
    entity_row,
    instance_from,
    instance_row,
    message_from,
    message_row,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, name TEXT, execution_id TEXT, input TEXT, status TEXT, created TEXT, updated TEXT,
    custom_status TEXT, output TEXT, parent TEXT, fresh INTEGER, version TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (
    id TEXT PRIMARY KEY, created TEXT, updated TEXT, present INTEGER, state TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, kind TEXT, target TEXT, body TEXT, execution_id TEXT, due TEXT);
CREATE TABLE IF NOT EXISTS history (
    instance_id TEXT, position INTEGER, events TEXT, PRIMARY KEY (instance_id, position));
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
_VERSION = "2"
_UPGRADES = {"1": "ALTER TABLE instances ADD COLUMN version TEXT"}
"""By layout, the statement that upgrades it to the next layout."""


class StateInUse(Exception):  # noqa: N818
    """Another process uses the state directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"the state directory {directory} is in use by another devhost; stop that one or choose a different --state"
        )
        self.directory = directory


class StateTooNew(Exception):  # noqa: N818
    """The state has a layout that this version of the devhost does not know."""

    def __init__(self, directory: Path, version: str) -> None:
        super().__init__(
            f"the state in {directory} has layout {version}, this devhost reads {_VERSION}; delete it to start again"
        )


class SqliteStore:
    """Opens `directory` (created if missing) for this process alone. Raises StateInUse, StateTooNew."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(directory)
        # Two threads use the connection, never at the same time: the engine's thread writes; the opening thread closes
        # it.
        self._db = sqlite3.connect(directory / "state.db", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        # With NORMAL in WAL mode, commits survive kill -9, because the operating system has the pages. Only a power cut
        # can lose them.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA wal_autocheckpoint=4000")
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('layout', ?)", (_VERSION,))
        layout = self.value("layout") or ""
        while layout in _UPGRADES:
            self._db.execute("BEGIN")
            self._db.execute(_UPGRADES[layout])
            layout = str(int(layout) + 1)
            self.keep("layout", layout)
            self._db.execute("COMMIT")
        if layout != _VERSION:
            self.close()
            raise StateTooNew(directory, layout)

    def load(self) -> Loaded:
        return Loaded(
            [instance_from(r) for r in self._db.execute("SELECT * FROM instances ORDER BY created, id")],
            [entity_from(r) for r in self._db.execute("SELECT * FROM entities ORDER BY created, id")],
            [message_from(r) for r in self._db.execute("SELECT * FROM messages ORDER BY number")],
        )

    def commit(self, changes: Changes) -> None:
        db = self._db
        db.execute("BEGIN")
        try:
            if changes.dropped:
                db.executemany("DELETE FROM history WHERE instance_id=?", [(i,) for i in changes.dropped])
            if changes.history:
                db.executemany(
                    "INSERT INTO history VALUES (?,?,?)",
                    [(i, position, text) for i, chunks in changes.history.items() for position, text in chunks],
                )
            for table, columns, rows, deleted in (
                (
                    "instances",
                    12,
                    [instance_row(i) for i in changes.instances.values() if i is not None],
                    [(k,) for k, i in changes.instances.items() if i is None],
                ),
                (
                    "entities",
                    5,
                    [entity_row(e) for e in changes.entities.values() if e is not None],
                    [(k,) for k, e in changes.entities.items() if e is None],
                ),
            ):
                if rows:
                    db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({','.join('?' * columns)})", rows)  # noqa: S608
                if deleted:
                    db.executemany(f"DELETE FROM {table} WHERE id=?", deleted)  # noqa: S608
            if changes.consumed:
                db.executemany("DELETE FROM messages WHERE number=?", [(n,) for n in changes.consumed])
            if changes.sent:
                db.executemany(
                    "INSERT OR REPLACE INTO messages VALUES (?,?,?,?,?,?)",
                    [message_row(m) for m in changes.sent.values()],
                )
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def history(self, instance_id: str) -> str:
        return _history(self._db, instance_id)

    def value(self, key: str) -> str | None:
        """A value that is stored with the state (a generated key, the last run of a timer)."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return row[0] if row else None

    def keep(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (key, value))

    def close(self) -> None:
        self._db.close()
        self._lock.close()


class StateReader:
    """Reads a state without changing it, even while a devhost uses it. Raises FileNotFoundError, StateTooNew."""

    def __init__(self, directory: Path) -> None:
        path = directory / "state.db"
        if not path.exists():
            raise FileNotFoundError(path)
        self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        layout = self.value("layout") or ""
        if layout != _VERSION:
            self.close()
            raise StateTooNew(directory, layout)

    def value(self, key: str) -> str | None:
        """See SqliteStore.value."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return row[0] if row else None

    def instances(self) -> list[Instance]:
        return [instance_from(r) for r in self._db.execute("SELECT * FROM instances ORDER BY created, id")]

    def history(self, instance_id: str) -> str:
        """See Store.history."""
        return _history(self._db, instance_id)

    def close(self) -> None:
        self._db.close()


def _history(db: sqlite3.Connection, instance_id: str) -> str:
    rows = db.execute("SELECT events FROM history WHERE instance_id=? ORDER BY position", (instance_id,))
    return "[" + ",".join(r[0] for r in rows) + "]"


def _lock(directory: Path) -> sqlite3.Connection:
    """Holds an exclusive SQLite transaction until the process ends: a lock that works on every operating system."""
    lock = sqlite3.connect(directory / "lock.db", isolation_level=None, timeout=0, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as problem:
        lock.close()
        if "locked" in str(problem):
            raise StateInUse(directory) from None
        raise
    return lock

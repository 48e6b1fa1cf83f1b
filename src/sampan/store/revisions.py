"""The SQL: one append-only table of revisions, as k3s' kine made popular.

Every write is one row; a deletion is a row without a value.  The row with the highest revision of a key is its present
state, which is all that is read at start; everything else is history, for lists and watches of the past.

All functions here block; they run in the writer's or the reader's thread, or before the store serves anybody.

Upstream: https://github.com/k3s-io/kine (pkg/drivers/generic).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sampan.store.base import Change, Entry, StoreUnavailable
from sampan.store.mirror import Mirror, after_prefix

SCHEMA_VERSION = 1

#: (revision, key, create_revision, previous_revision or 0, value or None)
Row = tuple[int, str, int, int, bytes | None]

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE revisions (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    create_revision INTEGER NOT NULL,
    previous_revision INTEGER NOT NULL,
    value BLOB
);
CREATE INDEX revisions_by_key ON revisions (key);  -- the rowid, our revision, is part of every index
INSERT INTO facts VALUES ('schema', 1), ('compacted', 0), ('swept', 0);
COMMIT;
"""
_COLUMNS = 5
#: Up to so many rows go in one statement: begin, insert and commit are then a single step, in which the interpreter
#: lock is let go once and taken back once. Taking it back can cost 5 ms each time while the event loop is busy.
MAX_ROWS_PER_STATEMENT = 64


def connect(path: Path) -> sqlite3.Connection:
    """Open for writing, create if it is not there. Raises: StoreUnavailable."""
    existed = path.exists()
    try:
        # mode 0600 from the first byte: Secrets live here.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"cannot open {path}: {error}") from error
    try:
        _configure(connection)
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreUnavailable(f"cannot open {path}: {error}") from error
    except BaseException:
        connection.close()
        raise
    if not existed:
        _sync_folder(path.parent)
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A second connection for reading history: under WAL it neither waits for the writer nor holds it up."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
                           check_same_thread=False)


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in (
        "auto_vacuum = INCREMENTAL",  # only counts before the first table
        "journal_mode = WAL",
        "synchronous = FULL",  # one fsync of the WAL per commit: survives power loss
        "secure_delete = FAST",  # zeroes where that costs no additional write
        "wal_autocheckpoint = 0",  # the writer does it when it has time
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone() is None:
        connection.executescript(_SCHEMA)
    version = fact(connection, "schema")
    if version != SCHEMA_VERSION:
        raise StoreUnavailable(f"{path} has schema {version}, this version of Sampan reads {SCHEMA_VERSION}")


def _sync_folder(folder: Path) -> None:
    """A new file's name must survive a power loss as well as its contents."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fact(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return int(value)


def set_fact(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute("UPDATE facts SET value = ? WHERE name = ?", (value, name))


def load(connection: sqlite3.Connection) -> Mirror:
    """The present state. The next revision must be above every one ever given, also of swept deletions."""
    # SQLite takes the other columns from the row that has the maximum.
    rows = connection.execute("SELECT key, value, MAX(revision), create_revision FROM revisions GROUP BY key")
    entries = [Entry(*row) for row in rows if row[1] is not None]
    (newest,) = connection.execute("SELECT MAX(revision) FROM revisions").fetchone()
    return Mirror(entries, max(newest or 0, fact(connection, "compacted")))


def append(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write all rows durably, or none. Raises: sqlite3.Error."""
    if len(rows) <= MAX_ROWS_PER_STATEMENT:
        _insert(connection, rows)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for start in range(0, len(rows), MAX_ROWS_PER_STATEMENT):
            _insert(connection, rows[start: start + MAX_ROWS_PER_STATEMENT])
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    statement = _STATEMENTS[len(rows)]
    connection.execute(statement, [column for row in rows for column in row])


_STATEMENTS = [
    "INSERT INTO revisions VALUES " + ",".join(["(" + ",".join("?" * _COLUMNS) + ")"] * count)
    for count in range(MAX_ROWS_PER_STATEMENT + 1)
]


def entries_at(
    connection: sqlite3.Connection, prefix: str, revision: int, limit: int, after: str
) -> tuple[Entry, ...]:
    """The entries under ``prefix`` as they were at ``revision``."""
    rows = connection.execute(
        """
        SELECT key, value, MAX(revision), create_revision FROM revisions
        WHERE key >= ? AND key > ? AND key < ? AND revision <= ?
        GROUP BY key HAVING value IS NOT NULL ORDER BY key LIMIT ?""",
        (prefix, after, after_prefix(prefix), revision, limit or -1),
    )
    return tuple([Entry(*row) for row in rows])


def growth(connection: sqlite3.Connection, prefix: str, after: str, since: int, upto: int) -> int:
    """By how many the keys under ``prefix`` and behind ``after`` grew between two revisions."""
    (count,) = connection.execute(
        """
        SELECT TOTAL(previous_revision = 0) - TOTAL(value IS NULL) FROM revisions
        WHERE revision > ? AND revision <= ? AND +key > ? AND +key >= ? AND +key < ?""",
        (since, upto, after, prefix, after_prefix(prefix)),
    ).fetchone()
    return int(count)


def changes(connection: sqlite3.Connection, prefix: str, after: int, upto: int, limit: int) -> Sequence[Change]:
    """At most ``limit`` changes under ``prefix`` with after < revision <= upto, in order."""
    rows = connection.execute(
        """
        SELECT now.key, now.revision, now.value, before.value
        FROM revisions AS now LEFT JOIN revisions AS before ON before.revision = now.previous_revision
        WHERE now.revision > ? AND now.revision <= ? AND +now.key >= ? AND +now.key < ?
        ORDER BY now.revision LIMIT ?""",  # the + keeps SQLite from walking the key index and sorting
        (after, upto, prefix, after_prefix(prefix), limit),
    )
    return [Change(*row) for row in rows]


def sweep(connection: sqlite3.Connection, rows: int) -> bool:
    """Delete what compaction has made useless, looking at no more than ``rows`` revisions; whether more is left.

    Each row names the one it superseded, so only what has happened since the last sweep is looked at, never the whole
    table. A crash in between is harmless: how far it got is part of the same transaction.
    """
    swept, compacted = fact(connection, "swept"), fact(connection, "compacted")
    window = connection.execute(
        "SELECT revision, previous_revision, value IS NULL FROM revisions WHERE revision > ? AND revision <= ?"
        " ORDER BY revision LIMIT ?", (swept, compacted, rows),
    ).fetchall()
    useless = [(before,) for _, before, _ in window if before] + [(revision,) for revision, _, gone in window if gone]
    upto = window[-1][0] if len(window) == rows else compacted
    if upto == swept:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("DELETE FROM revisions WHERE revision = ?", useless)
        set_fact(connection, "swept", upto)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return upto < compacted


def vacuum(connection: sqlite3.Connection, pages: int, keep_free_pages: int) -> bool:
    """Give up to ``pages`` free pages back to the file system; whether more are left."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    surplus = int(free) - keep_free_pages
    if surplus > 0:
        connection.execute(f"PRAGMA incremental_vacuum({min(pages, surplus)})").fetchall()
    return surplus > pages

"""The events that wait, in a file: what was accepted survives a crash and a restart.

SQLite syncs each transaction before it returns (``synchronous = EXTRA``, "Pragma statements"). Its
rollback journal, unlike the write-ahead log, needs no shared memory: the file may be on a network
volume ("Write-Ahead Logging", section 1). One process holds it for itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from aksci.core.errors import AksciError, DiskFullError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from aksci.cascade.receiver.webhook_events import Push

__all__ = ["Batch", "EventStore"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE seen (
    source TEXT NOT NULL, event TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (source, event)
) WITHOUT ROWID;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    base TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    received REAL NOT NULL,
    due REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    ended REAL,
    problem TEXT NOT NULL DEFAULT ''
);
CREATE INDEX entries_by_state ON entries (state);
"""
_FIRST_DELAY = 30.0  # seconds before a second attempt; doubled for each further one
_LONGEST_DELAY = 3600.0
_PATIENCE = 10  # times ``settle``: however many events come, nobody waits longer
_LARGEST = 100  # bases of one cascade: they have to fit a command line and an API's payload
_KEPT = 30 * 86_400.0  # seconds for which what has ended is remembered
# A user with push access to the registry makes it send as many events as they like. With these
# limits, the file stays below 50 MiB.
_MOST_WAITING = 10_000  # entries
_MOST_ENDED = 10_000  # entries
_MOST_SEEN = 100_000  # events
_TOO_MANY = "let [cascade.receiver] bases name less; see who pushes that much to the registry."


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one cascade is for."""

    entries: tuple[int, ...]
    bases: tuple[tuple[str, str], ...]
    """Full reference and the digest that was pushed last, sorted."""
    key: str
    """The same whenever the same events are tried again."""


@dataclass(frozen=True)
class _Waiting:
    id: int
    event: str
    base: str
    digest: str
    received: float
    due: float
    attempts: int


class _Do(Protocol):
    """Run one statement of the transaction."""

    def __call__(self, statement: str, *values: object) -> sqlite3.Cursor: ...


class EventStore:
    """Keep events until a cascade has seen to them; safe from several threads."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime],
        attempts: int,
        remember: float,
    ) -> None:
        """Open the file, or make it, and let what a crash has interrupted wait again.

        :param attempts: times that a cascade is tried.
        :param remember: seconds for which an event's id is known.
        :raises UsageError: another receiver has it, it is damaged, or it can't be written.
        :raises DiskFullError: no space is left.
        """
        self._path = path
        self._clock = now
        self._attempts = attempts
        self._remember = remember
        self._lock = threading.Lock()
        with self._told():
            # No waiting: who has the file keeps it. No isolation level: Python would begin
            # transactions of its own, and ours would be inside of them.
            self._connection = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Give the file free."""
        with self._lock:
            self._connection.close()

    def add(self, push: Push, bases: Sequence[str]) -> bool:
        """Store a push, on the disk when this returns; False: it was known already.

        :raises UsageError: too much waits; nothing of it is stored.
        """
        now = self._now()
        with self._transaction() as do:
            do("DELETE FROM seen WHERE at < ?", now - self._remember)
            do("DELETE FROM entries WHERE ended < ?", now - _KEPT)
            do(
                "DELETE FROM entries WHERE ended IS NOT NULL AND id IN "
                "(SELECT id FROM entries WHERE ended IS NOT NULL ORDER BY id DESC "
                "LIMIT -1 OFFSET ?)",
                _MOST_ENDED,
            )
            # In one transaction with its entries: known without them, the event would be lost when
            # it is sent once more.
            new = do("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", push.source, push.id, now)
            if not new.rowcount:
                return False
            self._require_room(do)
            for base in bases:
                # Of those of one base that wait, the last one's digest counts, and the first one's
                # time (see ``_when``).
                do(
                    "DELETE FROM entries WHERE base = ? AND state = 'waiting' AND attempts = 0 "
                    "AND id NOT IN (SELECT min(id) FROM entries WHERE base = ? "
                    "AND state = 'waiting' AND attempts = 0)",
                    base,
                    base,
                )
                do(
                    "INSERT INTO entries (event, base, digest, received) VALUES (?, ?, ?, ?)",
                    f"{push.source}:{push.id}",
                    base,
                    push.digest,
                    now,
                )
        return True

    def take(self, settle: float) -> Batch | None:
        """Begin what is due, all of it as one; None: nothing is.

        :param settle: seconds for which no other event must have come.
        """
        now = self._now()
        with self._transaction() as do:
            ready = [one for one, at in self._when(do, settle) if at <= now]
            # By base: of two pushes of one, only the last one's digest counts, so they go together.
            chosen = dict.fromkeys(one.base for one in ready)
            first = set(list(chosen)[:_LARGEST])
            taken = [one for one in ready if one.base in first]
            # Counted as it begins: what takes the receiver down with it is not tried for ever.
            for one in taken:
                do(
                    "UPDATE entries SET state = 'running', attempts = attempts + 1 WHERE id = ?",
                    one.id,
                )
        if not taken:
            return None
        events = "\n".join(sorted(f"{one.event} {one.base}" for one in taken))
        return Batch(
            entries=tuple(one.id for one in taken),
            bases=tuple(sorted({one.base: one.digest for one in taken}.items())),
            # Of the events, not of the moment: the same ones, tried again, have the same key.
            key=hashlib.sha256(events.encode()).hexdigest()[:32],
        )

    def due_in(self, settle: float) -> float | None:
        """Return the seconds until something is due; None: nothing waits."""
        with self._transaction() as do:
            moments = [at for _, at in self._when(do, settle)]
        return max(min(moments) - self._now(), 0.0) if moments else None

    def done(self, batch: Batch) -> None:
        """Note that a cascade has ended well."""
        with self._transaction() as do:
            for entry in batch.entries:
                do("UPDATE entries SET state = 'done', ended = ? WHERE id = ?", self._now(), entry)

    def failed(self, batch: Batch, problem: str, *, final: bool = False) -> tuple[str, ...]:
        """Let a batch wait for another attempt; return the bases that are given up.

        :param final: another attempt would end so, too.
        """
        now = self._now()
        given_up = set()
        with self._transaction() as do:
            for entry in batch.entries:
                base, tried = do(
                    "SELECT base, attempts FROM entries WHERE id = ?", entry
                ).fetchone()
                over = final or tried >= self._attempts
                given_up |= {base} if over else set()
                do(
                    "UPDATE entries SET state = ?, due = ?, ended = ?, problem = ? WHERE id = ?",
                    "failed" if over else "waiting",
                    now + min(_FIRST_DELAY * 2 ** (tried - 1), _LONGEST_DELAY),
                    now if over else None,
                    problem,
                    entry,
                )
        return tuple(sorted(given_up))

    def release(self, batch: Batch) -> None:
        """Let a batch wait again as if it had not begun: the receiver is told to end."""
        with self._transaction() as do:
            for entry in batch.entries:
                do(
                    "UPDATE entries SET state = 'waiting', attempts = attempts - 1 "
                    "WHERE id = ? AND state = 'running'",
                    entry,
                )

    def check(self) -> None:
        """Write something that changes nothing, to see whether it can be done.

        :raises DiskFullError: no space is left.
        :raises UsageError: it can't be done for another reason.
        """
        with self._transaction() as do:
            do(f"PRAGMA user_version = {_VERSION}")

    def status(self) -> dict[str, Any]:
        """Return how many entries are in each state, and what ended last."""
        with self._transaction() as do:
            counts = dict(do("SELECT state, count(*) FROM entries GROUP BY state").fetchall())
            last = do(
                "SELECT state, ended, base, problem FROM entries WHERE ended IS NOT NULL "
                "ORDER BY ended DESC, id DESC LIMIT 1"
            ).fetchone()
        states = ("waiting", "running", "done", "failed")
        document: dict[str, Any] = {
            "schema": 1,
            "queue": {state: counts.get(state, 0) for state in states},
            "last": None,
        }
        if last:
            state, ended, base, problem = last
            moment = datetime.fromtimestamp(ended, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            document["last"] = {"state": state, "ended": moment, "base": base, "problem": problem}
        return document

    def _require_room(self, do: _Do) -> None:
        """Refuse an event that is one too many: its registry sends it again."""
        (waiting,) = do("SELECT count(*) FROM entries WHERE state = 'waiting'").fetchone()
        (seen,) = do("SELECT count(*) FROM seen").fetchone()
        if waiting >= _MOST_WAITING:
            raise UsageError(f"{waiting} pushes wait already.", hint=_TOO_MANY)
        if seen > _MOST_SEEN:
            raise UsageError(f"{_MOST_SEEN} events came, and are still remembered.", hint=_TOO_MANY)

    def _when(self, do: _Do, settle: float) -> list[tuple[_Waiting, float]]:
        """Return what waits, each with the time from which it may begin.

        New events wait for quiet; what is tried again, for its time. What is further ahead than
        can be, because the clock was set back, waits no longer.
        """
        now = self._now()
        rows = do(
            "SELECT id, event, base, digest, received, due, attempts FROM entries "
            "WHERE state = 'waiting' ORDER BY id"
        ).fetchall()
        waiting = [_Waiting(*row) for row in rows]
        fresh = [one.received for one in waiting if not one.attempts and one.received <= now]
        quiet = min(max(fresh) + settle, min(fresh) + _PATIENCE * settle) if fresh else 0.0
        moments = [one.due if one.attempts else quiet for one in waiting]
        return [
            (one, at if at <= now + _LONGEST_DELAY * _PATIENCE else now)
            for one, at in zip(waiting, moments, strict=True)
        ]

    def _prepare(self) -> None:
        do = self._connection.execute
        do("PRAGMA locking_mode = EXCLUSIVE")
        do("PRAGMA journal_mode = DELETE")
        do("PRAGMA synchronous = EXTRA")
        # In this locking mode, the lock of the first transaction is kept until the file is closed.
        do("BEGIN EXCLUSIVE")
        (version,) = do("PRAGMA user_version").fetchone()
        (tables,) = do("SELECT count(*) FROM sqlite_master").fetchone()
        if version != _VERSION and (version or tables):
            raise UsageError(
                f"{self._path} is the queue of another version of aksci, or no queue at all.",
                hint="move the file away and start again; what waits in it is left behind.",
            )
        if not version:
            for statement in _SCHEMA.split(";"):
                do(statement)
            do(f"PRAGMA user_version = {_VERSION}")
        (sound,) = do("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise self._damaged()
        self._recover()
        do("COMMIT")

    def _recover(self) -> None:
        """Let wait again what was running; what has ended the receiver too often is given up."""
        do = self._connection.execute
        do(
            "UPDATE entries SET state = 'failed', ended = ?, "
            "problem = 'the receiver ended each time while it ran' "
            "WHERE state = 'running' AND attempts > ?",
            (self._now(), self._attempts),
        )
        # At once: the receiver was ended, and the cascade did not fail.
        do("UPDATE entries SET state = 'waiting', due = 0 WHERE state = 'running'")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[_Do]:
        with self._lock, self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _now(self) -> float:
        return self._clock().timestamp()

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._meaning(error) from None

    def _meaning(self, error: sqlite3.Error) -> AksciError:
        """Say what SQLite's result code means ("Result and Error Codes")."""
        # An extended code has the primary one in its low byte.
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return DiskFullError(
                f"No space is left for {self._path}.",
                hint=f"df -h {self._path.parent} shows the file system; nothing in it is lost.",
            )
        if code == sqlite3.SQLITE_BUSY:
            return UsageError(
                f"{self._path} is in use: another receiver has it.",
                hint="one receiver a project; end the other one first.",
            )
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return self._damaged()
        return UsageError(
            f"{self._path} can't be used: {error}.", hint="its folder must exist and be writable."
        )

    def _damaged(self) -> UsageError:
        return UsageError(
            f"{self._path} is damaged, or no queue of the receiver.",
            hint="move it away and start again; nox -s cascade finds what its events were about.",
        )

"""Writes ended sessions into an opened history, and reads them. Every call blocks, and raises what SQLAlchemy raises.

A cell that cannot be read as what it should be is taken as empty: the rest of the session is worth showing.
"""

from dataclasses import asdict, fields, replace
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import zstandard
from sqlalchemy import Connection, Engine, RowMapping, Select, delete, func, insert, select, update

from dashboards.fleet.views import Sample
from dashboards.history.records import PastSeat, PastSession, SeatRun
from dashboards.history.tables import REPORTS, SEATS, SESSIONS, TIMELINES
from protocol.operators import Happening

MAX_CELL: Final = 64 << 20
"""[bytes] of one cell when it is taken apart: far beyond a report of a thousand seats; stops a file of another origin
from filling the memory"""

_LEVEL: Final = 9
"""of Zstandard: milliseconds for a session, and a fifth of the plain length"""

_SAMPLES: Final = msgspec.msgpack.Decoder(list[Sample])
_HAPPENINGS: Final = msgspec.json.Decoder(list[Happening])
_REPORT: Final = msgspec.json.Decoder(dict[str, Any])
_SESSION_FIELDS: Final = tuple(column.name for column in SESSIONS.columns)
_SEAT_FIELDS: Final = tuple(field.name for field in fields(PastSeat))
_Value = TypeVar("_Value")


class Retention(NamedTuple):
    """How much is kept."""

    max_age: float = 3 * 365 * 86400.0
    """[s] of a session: longer than most disks of a lab are used"""
    max_sessions: int = 5000
    """a few hundred MB at the worst"""


USUAL_RETENTION: Final = Retention()


class Archive:
    """The sessions in one file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(
        self, session: PastSession | None, tsi: str, report: bytes | None, retention: Retention, now: float
    ) -> bool:
        """Write a session in place of an older record of it, its report, or both; forget what is too old.

        Args:
            session: None for one that is there already, of which the report has come.
            tsi: of the session.
            report: as ``packed_report`` made it; None leaves the one that is there.
            retention: what to keep.
            now: seconds since 1970.

        Returns:
            Whether it is there now; False for the report of a session that is not.
        """
        with self._engine.begin() as connection:
            if session is not None:
                _write_session(connection, session)
            elif connection.execute(select(SESSIONS.c.tsi).where(SESSIONS.c.tsi == tsi)).first() is None:
                return False
            if report is not None:
                connection.execute(delete(REPORTS).where(REPORTS.c.tsi == tsi))
                connection.execute(insert(REPORTS).values(tsi=tsi, json=report))
            _forget(connection, retention, now)
        return True

    def sessions(self, room: str, limit: int, before: float | None) -> list[PastSession]:
        """The newest first, without seats and timelines; of one room, or of all when it is empty."""
        query = _listed().order_by(SESSIONS.c.ended_at.desc(), SESSIONS.c.tsi).limit(limit)
        if room:
            query = query.where(SESSIONS.c.room == room)
        if before is not None:
            query = query.where(SESSIONS.c.ended_at < before)
        with self._engine.connect() as connection:
            return [_session(row) for row in connection.execute(query).mappings()]

    def session(self, tsi: str) -> PastSession | None:
        """One session with its seats and timeline."""
        with self._engine.connect() as connection:
            row = connection.execute(_listed().where(SESSIONS.c.tsi == tsi)).mappings().first()
            if row is None:
                return None
            seats = connection.execute(select(SEATS).where(SEATS.c.tsi == tsi).order_by(SEATS.c.position)).mappings()
            line = connection.execute(select(TIMELINES).where(TIMELINES.c.tsi == tsi)).mappings().first()
            return replace(
                _session(row),
                seats=tuple(_seat(seat) for seat in seats),
                happenings=() if line is None else _unpacked(line["happenings"], _HAPPENINGS),
                samples=() if line is None else _unpacked(line["samples"], _SAMPLES),
            )

    def report(self, tsi: str) -> bytes | None:
        """The report of a session, packed."""
        with self._engine.connect() as connection:
            found: bytes | None = connection.execute(select(REPORTS.c.json).where(REPORTS.c.tsi == tsi)).scalar()
            return found

    def seat_history(self, machine: str, limit: int) -> list[SeatRun]:
        """The sessions of one machine, the newest first."""
        query = (
            select(SEATS, SESSIONS.c.room, SESSIONS.c.image, SESSIONS.c.version, SESSIONS.c.ended_at)
            .join_from(SEATS, SESSIONS)
            .where(SEATS.c.machine == machine)
            .order_by(SESSIONS.c.ended_at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [
                SeatRun(row["tsi"], row["room"], row["image"], row["version"], row["ended_at"], _seat(row))
                for row in connection.execute(query).mappings()
            ]

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


def packed_report(report: dict[str, Any]) -> bytes:
    """A report as it is kept.

    Raises:
        TypeError, ValueError: it holds what JSON has no form for.
    """
    return _packed(msgspec.json.encode(report))


def unpacked_report(cell: bytes) -> dict[str, Any] | None:
    """A report as JSON values; None when it cannot be read."""
    try:
        return _REPORT.decode(_plain(cell))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def _write_session(connection: Connection, session: PastSession) -> None:
    values = {name: getattr(session, name) for name in _SESSION_FIELDS}
    # Not deleted and inserted: the report of an earlier record would go with it.
    if not connection.execute(update(SESSIONS).where(SESSIONS.c.tsi == session.tsi).values(values)).rowcount:
        connection.execute(insert(SESSIONS).values(values))
    connection.execute(delete(SEATS).where(SEATS.c.tsi == session.tsi))
    if session.seats:
        rows = [{"tsi": session.tsi, "position": at, **asdict(seat)} for at, seat in enumerate(session.seats)]
        connection.execute(insert(SEATS), rows)
    connection.execute(delete(TIMELINES).where(TIMELINES.c.tsi == session.tsi))
    connection.execute(
        insert(TIMELINES).values(
            tsi=session.tsi,
            happenings=_packed(msgspec.json.encode(session.happenings)),
            samples=_packed(msgspec.msgpack.encode(session.samples)),
        )
    )


def _forget(connection: Connection, retention: Retention, now: float) -> None:
    connection.execute(delete(SESSIONS).where(SESSIONS.c.ended_at < now - retention.max_age))
    count = connection.execute(select(func.count()).select_from(SESSIONS)).scalar_one()
    if count > retention.max_sessions:
        oldest = select(SESSIONS.c.tsi).order_by(SESSIONS.c.ended_at).limit(count - retention.max_sessions)
        connection.execute(delete(SESSIONS).where(SESSIONS.c.tsi.in_(oldest)))


def _listed() -> Select[Any]:
    return select(SESSIONS, REPORTS.c.tsi.is_not(None).label("has_report")).outerjoin_from(SESSIONS, REPORTS)


def _session(row: RowMapping) -> PastSession:
    return PastSession(**{name: row[name] for name in _SESSION_FIELDS}, has_report=bool(row["has_report"]))


def _seat(row: RowMapping) -> PastSeat:
    return PastSeat(**{name: row[name] for name in _SEAT_FIELDS})


def _packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def _plain(cell: bytes) -> bytes:
    """Raises ValueError for what ``_packed`` did not make."""
    try:
        if not 0 <= zstandard.frame_content_size(cell) <= MAX_CELL:
            raise ValueError
        return zstandard.ZstdDecompressor().decompress(cell)
    except (zstandard.ZstdError, TypeError) as error:
        raise ValueError from error


def _unpacked(
    cell: bytes, decoder: msgspec.json.Decoder[list[_Value]] | msgspec.msgpack.Decoder[list[_Value]]
) -> tuple[_Value, ...]:
    try:
        return tuple(decoder.decode(_plain(cell)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return ()

"""The tables of the history as the newest migration leaves them; a test holds them to the migrations.

Columns of ``sessions`` and ``seats`` are called as the fields of ``PastSession`` and ``PastSeat``. Lists of which only
the whole is ever read (what happened, samples, the report) are compressed JSON or MessagePack in one cell.
"""

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

METADATA: Final = MetaData()


def _of_session() -> Column[str]:
    return Column("tsi", String, ForeignKey("sessions.tsi", ondelete="CASCADE"), primary_key=True)


SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("tsi", String, primary_key=True),
    Column("room", String, nullable=False),
    Column("image", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("ordered_by", String, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("elapsed_seconds", Float, nullable=False),
    Column("end_reason", String, nullable=False),
    Column("disk_size", Integer, nullable=False),
    Column("stored_bytes", Integer, nullable=False),
    Column("bytes_on_wire", Integer, nullable=False),
    Column("catch_up_bytes", Integer, nullable=False),
    Column("datagrams_sent", Integer, nullable=False),
    Column("repair_datagrams", Integer, nullable=False),
    Column("expected_seats", Integer, nullable=False),
    Column("seat_count", Integer, nullable=False),
    Column("verified_count", Integer, nullable=False),
    Index("sessions_by_end", "ended_at"),
    Index("sessions_by_room", "room", "ended_at"),
)

SEATS: Final = Table(
    "seats",
    METADATA,
    _of_session(),
    Column("position", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("machine", String, nullable=False),
    Column("receiver_id", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("target", String, nullable=False),
    Column("settled_seconds", Float),
    Column("bytes_received", Integer, nullable=False),
    Column("catch_up_bytes", Integer, nullable=False),
    Column("bytes_written", Integer, nullable=False),
    Column("loss_ratio", Float, nullable=False),
    Column("repaired_blocks", Integer, nullable=False),
    Column("alarm", String, nullable=False),
    Index("seats_by_machine", "machine"),
)

REPORTS: Final = Table("reports", METADATA, _of_session(), Column("json", LargeBinary, nullable=False))
"""JSON of the report, compressed with Zstandard"""

TIMELINES: Final = Table(
    "timelines",
    METADATA,
    _of_session(),
    Column("happenings", LargeBinary, nullable=False),
    Column("samples", LargeBinary, nullable=False),
)
"""JSON of a list of Happening and MessagePack of a list of Sample, both compressed with Zstandard"""

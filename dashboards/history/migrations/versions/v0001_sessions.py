"""Sessions, seats and reports."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sessions",
        sa.Column("tsi", sa.String, primary_key=True),
        sa.Column("room", sa.String, nullable=False),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ordered_by", sa.String, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float, nullable=False),
        sa.Column("elapsed_seconds", sa.Float, nullable=False),
        sa.Column("end_reason", sa.String, nullable=False),
        sa.Column("disk_size", sa.Integer, nullable=False),
        sa.Column("stored_bytes", sa.Integer, nullable=False),
        sa.Column("bytes_on_wire", sa.Integer, nullable=False),
        sa.Column("catch_up_bytes", sa.Integer, nullable=False),
        sa.Column("datagrams_sent", sa.Integer, nullable=False),
        sa.Column("repair_datagrams", sa.Integer, nullable=False),
        sa.Column("expected_seats", sa.Integer, nullable=False),
        sa.Column("seat_count", sa.Integer, nullable=False),
        sa.Column("verified_count", sa.Integer, nullable=False),
    )
    op.create_index("sessions_by_end", "sessions", ["ended_at"])
    op.create_index("sessions_by_room", "sessions", ["room", "ended_at"])
    op.create_table(
        "seats",
        sa.Column("tsi", sa.String, sa.ForeignKey("sessions.tsi", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("machine", sa.String, nullable=False),
        sa.Column("receiver_id", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("settled_seconds", sa.Float),
        sa.Column("bytes_received", sa.Integer, nullable=False),
        sa.Column("catch_up_bytes", sa.Integer, nullable=False),
        sa.Column("bytes_written", sa.Integer, nullable=False),
        sa.Column("loss_ratio", sa.Float, nullable=False),
        sa.Column("repaired_blocks", sa.Integer, nullable=False),
    )
    op.create_table(
        "reports",
        sa.Column("tsi", sa.String, sa.ForeignKey("sessions.tsi", ondelete="CASCADE"), primary_key=True),
        sa.Column("json", sa.LargeBinary, nullable=False),
    )

"""What happened and the samples of each session; alarms of seats, and a quick way to those of one machine."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add to the tables."""
    op.create_table(
        "timelines",
        sa.Column("tsi", sa.String, sa.ForeignKey("sessions.tsi", ondelete="CASCADE"), primary_key=True),
        sa.Column("happenings", sa.LargeBinary, nullable=False),
        sa.Column("samples", sa.LargeBinary, nullable=False),
    )
    op.add_column("seats", sa.Column("alarm", sa.String, nullable=False, server_default=""))
    op.create_index("seats_by_machine", "seats", ["machine"])

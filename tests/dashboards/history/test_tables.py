from dataclasses import fields
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from dashboards.history.records import PastSeat, PastSession
from dashboards.history.schema import open_engine
from dashboards.history.tables import METADATA, SEATS, SESSIONS


def test_migrations_lead_to_the_tables(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "history.sqlite")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_columns_are_the_fields() -> None:
    seat_columns = {column.name for column in SEATS.columns} - {"tsi", "position"}
    assert seat_columns == {field.name for field in fields(PastSeat)}
    lists = {"seats", "happenings", "samples", "has_report"}
    assert {column.name for column in SESSIONS.columns} == {field.name for field in fields(PastSession)} - lists

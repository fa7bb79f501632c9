"""Runs migrations on the connection that ``dashboards.history.schema`` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # Each is whole or not there at all: SQLite can do that for changes of tables too.
    transactional_ddl=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()

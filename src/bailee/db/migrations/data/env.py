"""Alembic's entry for the data database: runs on the connection that `db.migrate` hands over."""

from alembic import context

from bailee.db.metadata import data

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=data,
    render_as_batch=True,
)
context.run_migrations()

"""Alembic's entry for the keys database: runs on the connection that `db.migrate` hands over."""

from alembic import context

from bailee.db.metadata import keys

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=keys,
    render_as_batch=True,
)
context.run_migrations()

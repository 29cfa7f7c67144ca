"""What alembic runs: all steps that are missing, in one transaction, on the connection given.

Without a connection it writes the statements down.
"""

from alembic import context

given = context.config.attributes
if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql", literal_binds=True, output_buffer=given.get("output")
    )
else:
    context.configure(
        connection=given["connection"],
        target_metadata=None,
        transaction_per_migration=False,
        on_version_apply=given.get("on_version_apply"),
    )
with context.begin_transaction():
    context.run_migrations()

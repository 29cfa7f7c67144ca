"""The schema's history, one step after another, for alembic."""

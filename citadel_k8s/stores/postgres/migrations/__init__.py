"""The schema's history, one step after another, for alembic."""

from typing import Final

REVISIONS: Final = ("0001",)
"""All steps, the first one first: known without alembic, which costs 28 MiB to load."""

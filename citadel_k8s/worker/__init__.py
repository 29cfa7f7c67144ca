"""The worker: from the status stream into PostgreSQL, and to each org."""

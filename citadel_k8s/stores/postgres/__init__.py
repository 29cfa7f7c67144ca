"""PostgreSQL: the one door to SQL."""

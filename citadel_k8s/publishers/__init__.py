"""Edges that send a status away."""

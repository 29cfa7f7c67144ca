"""Edges that keep or carry statuses."""

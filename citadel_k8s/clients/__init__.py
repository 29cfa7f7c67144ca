"""Edges that speak to other systems."""

"""Nodes, models, events and configuration, as they are stored."""

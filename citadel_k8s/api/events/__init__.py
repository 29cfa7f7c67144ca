"""Telling what changes, as it changes."""

"""Asking a node itself."""

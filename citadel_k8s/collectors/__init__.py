"""Edges that read this machine; each knows one outside thing."""

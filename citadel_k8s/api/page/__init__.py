"""The Fabric page: its files as they were built, and what it needs to know of this server."""

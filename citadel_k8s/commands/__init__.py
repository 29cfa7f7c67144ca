"""Commands of whoever runs the platform: orgs, people, tokens, clusters, and the first run.

They talk to PostgreSQL directly, with its owner's rights. Each imports what it runs only when it
runs.
"""

"""The API: what is told to people, programs and nodes, and the proxy for nodes."""

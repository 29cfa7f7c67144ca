"""Redis for nodes that have no way to it: the contract of the existing client."""

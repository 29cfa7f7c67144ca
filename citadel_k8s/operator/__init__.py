"""The process that keeps a FabricNode for each node."""

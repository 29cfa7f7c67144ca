"""Values that cross a border: the wire, the FabricNode, and what collectors read."""

"""``kubectl fabric``: a fleet from a terminal, by the API or by FabricNodes; `app` has it all."""

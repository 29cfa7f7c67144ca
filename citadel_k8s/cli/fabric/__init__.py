"""``kubectl fabric``: a fleet from a terminal, by the API or by FabricNodes."""

from citadel_k8s.cli.fabric.app import fabric, mount

__all__ = ["fabric", "mount"]

"""The command line: reads words, asks the parts, prints answers.

Each command imports what it runs only when it runs: an agent's memory has no room for the rest.
"""

from citadel_k8s.cli.app import kubectl_fabric, main

__all__ = ["kubectl_fabric", "main"]

"""Engines and other services of the node: what they serve and how busy they are.

Every one is asked at the same time as the others, with its own deadline and a limit on what it
may answer. An engine that cannot be read has unknown models, which is not the same as none.
"""

from citadel_k8s.collectors.engines.collector import EngineCollector
from citadel_k8s.collectors.engines.commands import DEFAULT_PORTS, KNOWN_PORTS

__all__ = ["DEFAULT_PORTS", "KNOWN_PORTS", "EngineCollector"]

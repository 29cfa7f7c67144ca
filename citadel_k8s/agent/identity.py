"""Who this agent is."""

import socket
import uuid

from citadel_k8s import __version__
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.domain.keys import node_id_from_name
from citadel_k8s.domain.report import Speaker
from citadel_k8s.errors import ConfigError, WireError


def speaker_of(settings: AgentSettings, *, gpu_source: str) -> Speaker:
    """Give the identity for the life of this process; each call is a new boot.

    Raises
    ------
    ConfigError
        If no node id can be made of the node's name.
    """
    name = settings.node_name or socket.gethostname()
    try:
        node_id = node_id_from_name(name)
    except WireError as error:
        raise ConfigError(f"node name {name!r}: {error}; set nodeName") from error
    return Speaker(
        node_id=node_id,
        node_name=name,
        boot_id=str(uuid.uuid4()),
        interval_seconds=settings.interval_seconds,
        version=__version__,
        gpu_source=gpu_source,
        tags=settings.tags,
        display_name=settings.display_name,
        headscale_node_id=settings.headscale_node_id,
        mesh_address=settings.mesh_address,
        addresses=() if settings.pod_ip is None else (settings.pod_ip,),
    )

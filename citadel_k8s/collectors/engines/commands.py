"""What a command line and a port say of the engine behind them."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from citadel_k8s.collectors.commandline import ports_in
from citadel_k8s.collectors.engines.checks import DATABASE_PORTS
from citadel_k8s.models.readings import Listener

DEFAULT_PORTS: Final = (
    ("vllm", 8000),
    ("vllm", 8201),
    ("llamacpp", 8200),
    ("ollama", 11434),
    ("sglang", 30000),
    ("lmdeploy", 23333),
    ("infinity", 7997),
    ("tei", 8102),
)
"""Where engines listen when nobody said otherwise; 8102, 8200 and 8201 are where the Go client
puts its own."""

KNOWN_PORTS: Final = (
    *(port for _, port in DEFAULT_PORTS),
    *(80, 3000, 5000, 8001, 8002, 8003, 8080, 8081, 8888, 9000),
    *DATABASE_PORTS.values(),
)
"""Ports on which it is worth knowing who listens: the usual ones of all families, in containers
too."""

USUAL_PORT: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict(reversed(DEFAULT_PORTS)),
        **DATABASE_PORTS,
        "tgi": 3000,
        "tei": 3000,
        "triton": 8000,
        "llamacpp": 8080,
        "transformers": 8000,
        "openai": 8000,
    }
)
"""Where a command listens that names no port."""

_PRIVILEGED: Final = 1024
"""First port that any program may listen on; those below are known by their number."""

_PRIVATE: Final = 29500
"""First of the ports that engines take for talk among their own processes; it is PyTorch's."""

_NOT_HTTP: Final = frozenset({*DATABASE_PORTS.values(), 2379, 2380, 3306, 5672, 9042, 27017})
"""Ports of databases and queues, which take a stranger's request for an attack."""

_COMMANDS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (None, r"\bollama\s+runner\b|VLLM::(?!API)|sglang::|multiprocessing\.\w+_tracker"),
        ("ollama", r"(?:^|[/\s])ollama\s+serve\b"),
        ("openai", r"\bvllm_nvext\.entrypoints\b|\btrtllm-serve\b"),
        ("vllm", r"\bvllm\s+serve\b|\bvllm\.entrypoints\.openai\.api_server\b|VLLM::API"),
        ("sglang", r"\bsglang\.launch_server\b|\bsglang\s+serve\b"),
        ("llamacpp", r"(?:^|[/\s])llama-server\b"),
        ("openai", r"\bllama_cpp\.server\b"),
        ("tgi", r"\btext-generation-(?:launcher|router)\b"),
        ("tei", r"\btext-embeddings-router\b"),
        ("triton", r"(?:^|[/\s])tritonserver\b"),
        ("lmdeploy", r"\blmdeploy\s+serve\s+api_server\b"),
        ("infinity", r"\binfinity_emb\b"),
        ("transformers", r"\btransformers(?:-cli)?\s+serve\b"),
        ("postgres", r"^(?:\S*/)?(?:postgres|postmaster)\b(?!:)"),
        ("redis", r"^(?:\S*/)?(?:redis-server|valkey-server)\b"),
    )
)


def kind_of(command: str | None) -> str | None:
    """Give the family that a command line starts; None if it is none, or a part of one."""
    if command is None:
        return None
    return next((kind for kind, pattern in _COMMANDS if pattern.search(command)), None)


def is_stranger(listener: Listener) -> bool:
    """Whether a process that nobody knows may be asked what it is.

    A part of an engine is not to be disturbed, nor what speaks another protocol.
    """
    command, port = listener.command, listener.port
    if port not in KNOWN_PORTS and not _PRIVILEGED <= port < _PRIVATE:
        return False
    if port in _NOT_HTTP:
        return False
    return command is None or not any(pattern.search(command) for _, pattern in _COMMANDS)


def is_own_port(kind: str, listener: Listener, others: Iterable[Listener]) -> bool:
    """Whether this is the port at which the process is asked.

    An engine of several processes listens on ports for its own use too, and a stranger's request
    on one of those may be the end of it.
    """
    told = ports_in((listener.command or "").split())
    if told:
        return listener.port in told
    if listener.port == USUAL_PORT.get(kind):
        return True
    return all(o.pid != listener.pid or o.port == listener.port for o in others)

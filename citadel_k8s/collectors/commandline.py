"""What a command line tells: the ports that a program was told to serve, and no secrets."""

from __future__ import annotations

from citadel_k8s.collectors.lines import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

COMMAND_MAX: Final = 512
"""Longest command line that leaves the node, in characters."""

MASK: Final = "***"
"""Stands for what follows an option that names a secret."""

PORT_OPTIONS: Final = frozenset(
    {"-p", "--port", "--http-port", "--server-port", "--api-port", "--listen", "--bind", "--host"}
)
"""Options by which inference servers are told where to listen; the last three as HOST:PORT. Those
for ports between workers, such as ``--master-port``, are not wanted here."""

_SECRETS: Final = frozenset({"key", "apikey", "token", "secret", "password", "passwd"})


def words_of(data: bytes) -> list[str]:
    """Give the words of ``/proc/PID/cmdline``, also those within one argument.

    A shell's script and a title that a program gave itself are one argument of many words.
    """
    return data.replace(b"\0", b" ").decode("utf-8", "replace").split()


def ports_in(words: list[str]) -> frozenset[int]:
    """Give the ports that a program was told to listen on."""
    found: set[int] = set()
    for i, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option.replace("_", "-") in PORT_OPTIONS:
            text = value if equals else words[i + 1] if i + 1 < len(words) else ""
            port = text.rpartition(":")[2]
            if port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536:  # noqa: PLR2004 - ports
                found.add(int(port))
    return frozenset(found)


def command_of(words: list[str]) -> str | None:
    """Give a command line fit to leave the node, without keys, tokens and passwords."""
    shown: list[str] = []
    secret = False
    for word in words:
        # An option may take several keys.
        secret = secret and not word.startswith("-")
        if secret:
            shown.append(MASK)
            continue
        option, equals, _ = word.partition("=")
        if _names_a_secret(option):
            shown.append(f"{option}={MASK}" if equals else word)
            secret = not equals and option.startswith("-")
        else:
            shown.append(_without_credentials(word))
    return clean(" ".join(shown), COMMAND_MAX) or None


def is_inner_runner(words: list[str]) -> bool:
    """Say whether this is a process that only Ollama's own server talks to."""
    name = words[0].rpartition("/")[2] if words else ""
    return name == "ollama_llama_server" or (name == "ollama" and words[1:2] == ["runner"])


def _names_a_secret(option: str) -> bool:
    return option.lower().replace("_", "-").rpartition("-")[2] in _SECRETS


def _without_credentials(word: str) -> str:
    scheme, found, rest = word.partition("://")
    credentials, at, place = rest.partition("@")
    return f"{scheme}://{MASK}@{place}" if found and at and "/" not in credentials else word

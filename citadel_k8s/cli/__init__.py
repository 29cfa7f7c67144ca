"""The command line: reads words, asks the parts, prints answers.

Each command imports what it runs only when it runs: an agent's memory has no room for the rest, and
``kubectl fabric`` is there before a person notices.
"""


def main() -> None:
    """Run ``citadel-k8s``."""
    from citadel_k8s.cli.app import app  # noqa: PLC0415 - see above
    from citadel_k8s.cli.guard import guarded  # noqa: PLC0415

    guarded(app)


def kubectl_fabric() -> None:
    """Run ``kubectl fabric``."""
    from citadel_k8s.cli.fabric.app import fabric  # noqa: PLC0415
    from citadel_k8s.cli.fabric.completion import PLUGIN, answering  # noqa: PLC0415
    from citadel_k8s.cli.guard import guarded  # noqa: PLC0415

    answering(PLUGIN)
    guarded(fabric)


def kubectl_complete() -> None:
    """Complete words of ``kubectl fabric``, as kubectl asks its plugins to."""
    from citadel_k8s.cli.fabric.completion import complete_for_kubectl  # noqa: PLC0415

    complete_for_kubectl()

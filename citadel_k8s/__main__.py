"""``python -m citadel_k8s`` is ``citadel-k8s``."""

from citadel_k8s.cli import main

main()

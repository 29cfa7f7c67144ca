"""The project's own programs as processes on an embedded stack, with the rights of a cluster."""

import os
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.stack import Stack

MANIFESTS: Final = Path(__file__).parents[2] / "manifests"
"""The checkout's manifests: an embedded stack is for who has one."""


def documents(*names: str) -> list[dict[str, Any]]:
    """Give the documents of some files and folders below ``manifests/``."""
    paths = [MANIFESTS / name for name in names]
    files = [file for p in paths for file in (sorted(p.glob("*.yaml")) if p.is_dir() else [p])]
    return [d for file in files for d in yaml.safe_load_all(file.read_text()) if d]


class Parts:
    """Starts operators and agents on a stack.

    Parameters
    ----------
    stack : Stack
        Running.
    policy : Policy
        How often agents speak and how long the operator bears their silence.
    org_id : str or None
        Whose nodes they are.
    """

    def __init__(self, stack: Stack, policy: Policy, org_id: str | None = None) -> None:
        self._stack = stack
        self._policy = policy
        self._org_id = org_id

    @property
    def folder(self) -> Path:
        """Folder of what the parts write: their reapers delete it if this process is killed."""
        return self._stack.folder / "parts"

    async def install(self, api: KubeClient) -> None:
        """Apply what the operator needs in a cluster: definitions, namespace, rights."""
        await api.apply(documents("crds", "namespace.yaml", "rbac.yaml"))

    async def operator(self) -> Charge:
        """Start the operator under its own service account, with no more rights than that has."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        kubeconfig = await self._stack.kube.write_kubeconfig(
            self.folder / "operator.kubeconfig", "citadel", "citadel-operator"
        )
        policy = self._policy
        words = ["--kubeconfig", str(kubeconfig), "--interval", f"{policy.interval:g}"]
        words += ["--missed", str(policy.missed), "--skew", f"{policy.skew:g}"]
        more = {"CITADEL__REDIS_URL": self._stack.redis_url}
        return await self._spawn("operator", "operator", words, more)

    async def agent(
        self, name: str, fake_gpu: str | None, *, proxy: tuple[str, str] | None = None
    ) -> Charge:
        """Start an agent, with pretended GPUs if some are named.

        Parameters
        ----------
        name : str
            Its node's name.
        fake_gpu : str or None
            What it pretends to have.
        proxy : tuple of str or None
            Address and device token of the API through which it reports; None: to Redis itself.
        """
        words = ["--node-name", name, "--interval", f"{self._policy.interval:g}"]
        words += ["--fake-gpu", fake_gpu] if fake_gpu else []
        more = {"CITADEL__POD_IP": "127.0.0.1"}  # where its own door is
        if proxy is None:
            more["CITADEL__REDIS_URL"] = self._stack.redis_url
        else:
            words += ["--publish", "api"]
            more["CITADEL__API_BASE_URL"], more["CITADEL__API_TOKEN"] = proxy
        return await self._spawn(name, "agent", words, more)

    async def _spawn(
        self, name: str, command: str, words: list[str], more: dict[str, str]
    ) -> Charge:
        argv = [sys.executable, "-m", "citadel_k8s", command, *words]
        argv += ["--listen-host", "127.0.0.1", "--listen-port", "0"]
        # Addresses and tokens are secrets: an environment is not shown to others, a command is.
        env = {**os.environ, **more}
        env["CITADEL__PROBE_LOOPBACK"] = "true"  # all nodes are on this machine
        if self._org_id is not None:
            env["CITADEL__ORG_ID"] = self._org_id
        return await spawn(argv, self.folder / f"{name}.log", env=env, remove=self.folder)

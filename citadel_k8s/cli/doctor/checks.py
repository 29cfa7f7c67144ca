"""The checks in the order of the report: each asks, and gives its findings."""

import base64
import binascii
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.cli.doctor import cluster, pipeline, redisrules, rights, security, workloads
from citadel_k8s.cli.doctor.asking import Cluster, unless_forbidden
from citadel_k8s.cli.doctor.finding import Finding, failure, ok, unknown
from citadel_k8s.cli.doctor.objects import Object, name, part, text
from citadel_k8s.cli.doctor.web import ready
from citadel_k8s.errors import ConfigError, KubeError, StreamError
from citadel_k8s.models.fabricstatus import FABRIC_STATUS

APPLY: Final = "kubectl apply --server-side -f manifests/crds"
"""What brings the definitions."""

RBAC: Final = "kubectl apply -f manifests/rbac.yaml"
"""What brings the operator's rights."""

ROLE_KEY: Final = "operator-password"
"""Key of the operator's password in the Secret of Redis."""

REDIS_TIMEOUT: Final = 3.0
"""Seconds for Redis, so that its own words come before the check's deadline."""


@dataclass(frozen=True, slots=True)
class RedisLook:
    """Where Redis is and who logs in; ``secret`` names a Secret with the operator's password."""

    url: str | None = None
    username: str | None = None
    password: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the names of its findings, and how it finds them."""

    names: tuple[str, ...]
    look: Callable[[], Awaitable[list[Finding]]]


class Checks:
    """All checks of one cluster.

    Parameters
    ----------
    seen : Cluster
        Who is asked.
    clock : Clock
        This machine's.
    redis : RedisLook
        Where Redis is, as far as it was said.
    api : str or None
        URL of the API.
    """

    def __init__(self, seen: Cluster, clock: Clock, redis: RedisLook, api: str | None) -> None:
        self._seen = seen
        self._clock = clock
        self._redis = redis
        self._api = api

    def all(self) -> list[Check]:
        """Give them in the order of the report."""
        checks = [
            Check(("api-server",), self._version),
            Check(("clock",), self._date),
            Check(("crd-fabricnodes",), lambda: self._definition("fabricnodes")),
            Check(("crd-fabricstatuses",), lambda: self._definition("fabricstatuses")),
            Check(("your-rights",), self._mine),
            Check(("operator-rights",), self._operators_rights),
            Check(("admission-policy",), self._policy),
            Check(("pod-security",), self._pod_security),
            Check(("runtime-class",), self._runtime_class),
            Check(("agents",), self._agents),
            Check(("operator",), self._operator),
            Check(("pods",), self._pods),
            Check(("gpu-nodes",), self._gpu_nodes),
            Check(("leader",), self._leader),
            Check(("pipeline",), self._pipeline),
            Check(("heartbeats", "node-clocks"), self._nodes),
            Check(redisrules.CHECKS if self._redis.url else ("redis",), self._ask_redis),
        ]
        return [*checks, Check(("api",), self._ready)] if self._api else checks

    async def _version(self) -> list[Finding]:
        try:
            return [cluster.version(await self._seen.version())]
        except KubeError as error:
            fix = (
                "kubectl auth whoami (the credentials of the kubeconfig are not taken)"
                if error.status in {401, 403}
                else "kubectl cluster-info"
            )
            return [failure("api-server", str(error), fix)]

    async def _date(self) -> list[Finding]:
        before = self._clock.now()
        date = await self._seen.api.date()
        return [cluster.clock(date, before, self._clock.now())]

    async def _definition(self, plural: str) -> list[Finding]:
        found, forbidden = await unless_forbidden(lambda: self._seen.definition(plural))
        if not forbidden:
            return [cluster.definition(plural, found, APPLY)]
        return [cluster.served(plural, await self._seen.served(), APPLY)]

    async def _mine(self) -> list[Finding]:
        answers = await self._seen.mine(rights.OF_PEOPLE)
        user, _ = await unless_forbidden(self._seen.who)
        fix = f"kubectl create clusterrolebinding citadel-view-{_word(user)} "
        fix += f"--clusterrole citadel-view --user {shlex.quote(user or 'YOU')}"
        said = f"you ({user})" if user else "you"
        needs = "needs create on selfsubjectaccessreviews"
        return [security.allowed("your-rights", said, answers, fix, refused=needs)]

    async def _operators_rights(self) -> list[Finding]:
        check = "operator-rights"
        found, _ = await unless_forbidden(lambda: self._seen.workloads("deployments", "operator"))
        account, fix = "citadel-operator", RBAC
        if found:
            spec = part(found[0], "spec", "template", "spec")
            account = text(spec, "serviceAccountName") or account
            fix = cluster.helm(found[0]) or fix
        needed = rights.of_the_operator(self._seen.space, lease=account)
        answers = await self._seen.of_account(account, needed)
        needs = "needs create on subjectaccessreviews"
        return [security.allowed(check, f"the operator ({account})", answers, fix, refused=needs)]

    async def _policy(self) -> list[Finding]:
        running = cluster.version_of(await self._seen.version())
        if running is not None and running < cluster.POLICIES:
            return [cluster.policy(None, None, running)]
        wanted = await self._seen.policy_name(cluster.POLICY)
        return [cluster.policy(*await self._seen.policy(wanted), running)]

    async def _pod_security(self) -> list[Finding]:
        space = await self._seen.namespace()
        if space is None:
            fix = f"kubectl create namespace {self._seen.space} (or name another with --namespace)"
            return [failure("pod-security", f"there is no namespace {self._seen.space}", fix)]
        return [security.pod_security(space, one) for one in await self._daemonsets()]

    async def _runtime_class(self) -> list[Finding]:
        return [finding for one in await self._daemonsets() for finding in await self._runtime(one)]

    async def _runtime(self, installed: Object) -> list[Finding]:
        spec = part(installed, "spec", "template", "spec")
        wanted, found, forbidden = text(spec, "runtimeClassName"), None, False
        if wanted is not None:
            found, forbidden = await unless_forbidden(lambda: self._seen.runtime_class(wanted))
        return [security.runtime_class(spec, found, forbidden=forbidden, installed=installed)]

    async def _agents(self) -> list[Finding]:
        found = await self._daemonsets()
        heard = False
        if not found:
            nodes, _ = await unless_forbidden(self._seen.fabric_nodes)
            heard = any(map(pipeline.heard, nodes or ()))
        return [workloads.agents(found, self._seen.space, heard=heard)]

    async def _operator(self) -> list[Finding]:
        found = await self._seen.workloads("deployments", "operator")
        writes = not found and await self._written()
        return [workloads.operators(found, self._seen.space, writes=writes)]

    async def _pods(self) -> list[Finding]:
        found = await self._seen.pods()
        events, _ = await unless_forbidden(self._seen.events)
        return [workloads.pods(found, events or (), self._seen.space)]

    async def _gpu_nodes(self) -> list[Finding]:
        nodes = await self._seen.api.list_nodes()
        return [workloads.uncovered(nodes, await self._seen.agent_pods(), self._seen.space)]

    async def _leader(self) -> list[Finding]:
        found, _ = await unless_forbidden(lambda: self._seen.workloads("deployments", "operator"))
        lease_name = name(found[0]) if found else rights.OPERATOR_LEASE
        lease = await self._seen.api.get_lease(self._seen.space, lease_name)
        written = lease is None and await self._written()
        now = self._clock.now()
        return [pipeline.leader(lease, now, self._seen.space, written=written)]

    async def _pipeline(self) -> list[Finding]:
        status = await self._seen.api.get_fabric_status(FABRIC_STATUS)
        return [pipeline.fabric(status, self._clock.now(), self._seen.space)]

    async def _nodes(self) -> list[Finding]:
        nodes = await self._seen.fabric_nodes()
        return [pipeline.heartbeats(nodes, self._seen.space), pipeline.node_clocks(nodes)]

    async def _ask_redis(self) -> list[Finding]:
        if self._redis.url is None:
            return redisrules.by_hearsay((await self._pipeline())[0], self._seen.space)
        try:
            login = await self._login()
        except KubeError as error:
            if error.status not in {403, 404}:
                raise
            said = f"Secret {self._redis.secret} cannot be read: {error}"
            return [unknown(check, said) for check in redisrules.CHECKS]
        try:
            # Not of the extra `cli`: who looks at a cluster alone has no use for it.
            from citadel_k8s.stores.inspection import Inspection  # noqa: PLC0415
        except ModuleNotFoundError as error:
            return redisrules.no_library(error.name)
        inspection = Inspection(self._redis.url, **login, answer_timeout=REDIS_TIMEOUT)
        try:
            return redisrules.judged(await inspection.look(), self._clock.now())
        except StreamError as error:
            return redisrules.away(str(error))
        finally:
            await inspection.close()

    async def _login(self) -> dict[str, str | None]:
        if self._redis.secret is None:
            return {"username": self._redis.username, "password": self._redis.password}
        path = f"/api/v1/namespaces/{self._seen.space}/secrets/{self._redis.secret}"
        held = await self._seen.api.request("GET", path)
        try:
            password = base64.b64decode(text(held, "data", ROLE_KEY) or "", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ConfigError(f"Secret {self._redis.secret}: {ROLE_KEY}: {error}") from error
        if not password:
            raise ConfigError(f"Secret {self._redis.secret} has no {ROLE_KEY}")
        return {"username": self._redis.username or "operator", "password": password}

    async def _ready(self) -> list[Finding]:
        told = await ready(self._api or "")
        if told is None:
            return [ok("api", f"{self._api} is ready")]
        fix = f"kubectl -n {self._seen.space} logs deployment/citadel-api --tail 20"
        return [failure("api", f"{self._api}: {told}", fix)]

    async def _daemonsets(self) -> list[dict[str, object]]:
        return await self._seen.workloads("daemonsets", "agent")

    async def _written(self) -> bool:
        status, _ = await unless_forbidden(lambda: self._seen.api.get_fabric_status(FABRIC_STATUS))
        return pipeline.writes(status, self._clock.now())


def _word(user: str | None) -> str:
    return "".join(
        c if c.isascii() and c.isalnum() else "-" for c in (user or "you").lower()
    ).strip("-")[:40]

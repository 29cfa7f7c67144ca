"""Rules about what a namespace lets pods do, and who may do what.

The levels are those of the Pod Security Standards (Kubernetes documentation, v1.34), reduced to
what a DaemonSet's pod can break. What a level forbids is named, so that a person can take it away
instead of opening the namespace.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from citadel_k8s.cli.doctor.finding import Finding, failure, listed, ok, unknown, warning
from citadel_k8s.cli.doctor.objects import Object, label, name, part, parts, text, value

ENFORCE: Final = "pod-security.kubernetes.io/enforce"
"""Label of a namespace that says which pods are refused."""

LEVELS: Final = ("restricted", "baseline", "privileged")
"""From the strictest on: each allows what those before it do."""

BASELINE_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""What "baseline" lets containers add. Source: the Pod Security Standards."""

RESTRICTED_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
"""Kinds of volumes that "restricted" allows. Source: the Pod Security Standards."""


def pod_security(space: Object, workload: Object) -> Finding:
    """Judge whether a namespace takes the pods of a workload."""
    check = "pod-security"
    enforced = label(space, ENFORCE)
    needed, because = level_of(part(workload, "spec", "template", "spec"))
    if enforced is None:
        return ok(
            check,
            f"namespace {name(space)} has no Pod Security label; {name(workload)} needs {needed}, "
            "which holds unless the cluster's own default is stricter",
        )
    if enforced not in LEVELS:
        return warning(
            check,
            f"namespace {name(space)} enforces {enforced!r}, which is no Pod Security level",
            relabel(space, needed),
        )
    if LEVELS.index(enforced) >= LEVELS.index(needed):
        return ok(check, f"namespace {name(space)} enforces {enforced}; {needed} is needed")
    return failure(
        check,
        f"namespace {name(space)} enforces {enforced} and refuses the pods of {name(workload)}, "
        f"which need {needed}: {listed(because)}",
        relabel(space, needed),
    )


def relabel(space: Object, level: str) -> str:
    """Give the command that sets the level of a namespace."""
    return f"kubectl label namespace {name(space)} {ENFORCE}={level} --overwrite"


def level_of(spec: Object) -> tuple[str, list[str]]:
    """Give the strictest level that takes a pod, and what forbids the next stricter one."""
    if found := list(_beyond_baseline(spec)):
        return "privileged", found
    if found := list(_beyond_restricted(spec)):
        return "baseline", found
    return "restricted", []


def runtime_class(
    spec: Object, found: Object | None, *, forbidden: bool, installed: Object
) -> Finding:
    """Judge the RuntimeClass that agents name.

    Parameters
    ----------
    spec : mapping
        The pods' spec.
    found : mapping or None
        The RuntimeClass; None if it is not there.
    forbidden : bool
        Whether it could not be looked at.
    installed : mapping
        The DaemonSet, for the fix.
    """
    check = "runtime-class"
    wanted = text(spec, "runtimeClassName")
    if wanted is None:
        return ok(check, "agents name no RuntimeClass: the nodes' default runtime brings GPUs in")
    if forbidden:
        return unknown(check, f"agents name RuntimeClass {wanted}: needs get on runtimeclasses")
    if found is not None:
        return ok(check, f"RuntimeClass {wanted} is there, handler {text(found, 'handler')}")
    return failure(
        check,
        f"agents name RuntimeClass {wanted}, which is not there: each pod is refused",
        f"kubectl -n {text(installed, 'metadata', 'namespace')} patch daemonset {name(installed)} "
        '--type json -p \'[{"op":"remove","path":"/spec/template/spec/runtimeClassName"}]\'',
    )


def allowed(
    check: str, who: str, answers: Mapping[str, bool | None], fix: str, *, refused: str
) -> Finding:
    """Judge what somebody may do; None where the API server was not let to tell.

    Parameters
    ----------
    answers : mapping of str to bool or None
        By ``verb resource in place``.
    refused : str
        What asking needs, where it was refused.
    """
    if denied := [right for right, told in answers.items() if told is False]:
        return failure(check, f"{who} may not {listed(denied)}", fix)
    if all(told is None for told in answers.values()):
        return unknown(check, f"what {who} may do could not be looked at: {refused}")
    if lost := [right for right, told in answers.items() if told is None]:
        return unknown(check, f"no answer to whether {who} may {listed(lost)}")
    return ok(check, f"{who} may do all {len(answers)} things that are needed")


def _containers(spec: Object) -> Iterator[dict[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from parts(spec, kind)


def _beyond_baseline(spec: Object) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield key
    for volume in parts(spec, "volumes"):
        if "hostPath" in volume:
            yield f"hostPath {text(volume, 'hostPath', 'path')}"
    for container in _containers(spec):
        context = part(container, "securityContext")
        if context.get("privileged"):
            yield f"container {container.get('name')} is privileged"
        added: list[str] = value(context, "capabilities", "add") or []
        if more := [one for one in added if one not in BASELINE_CAPABILITIES]:
            yield f"capabilities {listed(more)}"
        if any(port.get("hostPort") for port in parts(container, "ports")):
            yield "hostPort"


def _beyond_restricted(spec: Object) -> Iterator[str]:
    pod = part(spec, "securityContext")
    for volume in parts(spec, "volumes"):
        if others := set(volume) - RESTRICTED_VOLUMES - {"name"}:
            yield f"volume of kind {listed(sorted(others))}"
    for container in _containers(spec):
        context = part(container, "securityContext")
        said = container.get("name")
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"container {said} may gain privileges"
        if "ALL" not in (value(context, "capabilities", "drop") or []):
            yield f"container {said} keeps capabilities"
        if not context.get("runAsNonRoot", pod.get("runAsNonRoot")):
            yield f"container {said} may run as root"
        profile = text(context, "seccompProfile", "type") or text(pod, "seccompProfile", "type")
        if profile not in {"RuntimeDefault", "Localhost"}:
            yield f"container {said} has no seccomp profile"

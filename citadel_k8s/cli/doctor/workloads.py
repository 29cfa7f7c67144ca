"""Rules about what runs: agents, the operator, their pods, and GPU nodes that have no agent."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from citadel_k8s.cli.doctor.finding import Finding, failure, listed, ok, warning
from citadel_k8s.cli.doctor.objects import Object, condition, count, label, name, part, parts, text

GPU_LABELS: Final = ("nvidia.com/gpu.present", "feature.node.kubernetes.io/pci-10de.present")
"""Labels of Nodes with NVIDIA GPUs. Source: GPU feature discovery, node feature discovery."""

GPU_RESOURCES: Final = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915")
"""Extended resources that device plugins announce."""

PATIENT: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons for waiting that pass by themselves."""


def agents(found: Sequence[Object], space: str, *, heard: bool = False) -> Finding:
    """Judge the DaemonSets of agents; ``heard``: whether any node is, from wherever."""
    check = "agents"
    if found:
        return _daemonset(check, found[0], space)
    if heard:
        return warning(
            check,
            f"no agent's DaemonSet is in namespace {space}; the nodes that are heard run elsewhere",
            "name the namespace with --namespace if there is one",
        )
    return failure(
        check,
        f"no agent's DaemonSet is in namespace {space}",
        "helm -n citadel install citadel charts/citadel-k8s --create-namespace"
        " (or name its namespace with --namespace)",
    )


def operators(found: Sequence[Object], space: str, *, writes: bool = False) -> Finding:
    """Judge the Deployment of the operator; ``writes``: whether one does, from wherever."""
    check = "operator"
    if not found and writes:
        return warning(
            check,
            f"no operator's Deployment is in namespace {space}; the one that writes runs elsewhere",
            "name the namespace with --namespace if there is one",
        )
    if not found:
        return failure(
            check,
            f"no operator's Deployment is in namespace {space}",
            "kubectl apply -k manifests (or name its namespace with --namespace)",
        )
    one = found[0]
    wanted = count(one, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    ready = count(one, "status", "readyReplicas") or 0
    look = f"kubectl -n {space} logs deployment/{name(one)} --tail 20"
    if wanted == 0:
        scale = f"kubectl -n {space} scale deployment {name(one)} --replicas 2"
        return failure(check, f"{name(one)} is scaled to none", scale)
    if ready == 0:
        said = (condition(one, "Available") or {}).get("message") or "it tells no reason"
        return failure(check, f"none of {wanted} operators is ready: {said}", look)
    if ready < wanted:
        return warning(check, f"{ready} of {wanted} operators are ready", look)
    return ok(check, f"all {wanted} operators are ready")


def pods(found: Sequence[Object], events: Iterable[Object], space: str) -> Finding:
    """Judge the pods by why they do not run; and why pods were not even made."""
    check = "pods"
    failing = [(pod, why) for pod in found for why in reasons(pod)]
    if failing:
        pod, why = failing[0]
        return failure(
            check,
            f"{len({name(p) for p, _ in failing})} pods fail: "
            + listed(f"{name(p)}: {w}" for p, w in failing),
            f"kubectl -n {space} {'logs --previous' if 'CrashLoop' in why else 'describe pod'} "
            f"{name(pod)}",
        )
    refused = [event for event in events if text(event, "reason") == "FailedCreate"]
    if refused:
        return warning(
            check,
            f"{text(refused[-1], 'involvedObject', 'name')}: {text(refused[-1], 'message')}",
            f"kubectl -n {space} get events --field-selector reason=FailedCreate",
        )
    return ok(check, f"none of {len(found)} pods fails")


def reasons(pod: Object) -> Iterator[str]:
    """Give why a pod does not run, the first thing only."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in parts(pod, "status", kind):
            if told := _why(container):
                yield told
                return
    phase = text(pod, "status", "phase")
    if phase == "Failed":
        yield text(pod, "status", "reason") or "Failed"
    scheduled = condition(pod, "PodScheduled")
    if phase == "Pending" and scheduled and scheduled.get("status") == "False":
        yield f"{scheduled.get('reason')}: {scheduled.get('message')}"


def uncovered(nodes: Iterable[Object], agent_pods: Iterable[Object], space: str) -> Finding:
    """Judge whether each GPU node has an agent."""
    check = "gpu-nodes"
    gpus = {name(node): node for node in nodes if has_gpu(node)}
    if not gpus:
        return warning(
            check,
            "no Node says that it has a GPU: neither a label nor a device plugin's resource",
            f"kubectl label node NODE {GPU_LABELS[0]}=true",
        )
    covered = {text(pod, "spec", "nodeName") for pod in agent_pods}
    bare = sorted(set(gpus) - covered)
    if not bare:
        return ok(check, f"each of {len(gpus)} GPU nodes has an agent")
    unlabelled = [node for node in bare if not _labelled(gpus[node])]
    fix = (
        f"kubectl label node {unlabelled[0]} {GPU_LABELS[0]}=true"
        if unlabelled
        else f"kubectl -n {space} describe daemonset; kubectl describe node {bare[0]} (taints)"
    )
    return failure(check, f"{len(bare)} GPU nodes have no agent: {listed(bare)}", fix)


def has_gpu(node: Object) -> bool:
    """Tell whether a Node says by label or by resource that it has a GPU."""
    capacity = part(node, "status", "capacity")
    return _labelled(node) or any(capacity.get(key) not in (None, "0") for key in GPU_RESOURCES)


def _labelled(node: Object) -> bool:
    return any(label(node, key) == "true" for key in GPU_LABELS)


def _why(container: dict[str, Any]) -> str | None:
    waiting = part(container, "state", "waiting")
    reason = text(waiting, "reason")
    if reason is not None and reason not in PATIENT:
        last = text(container, "lastState", "terminated", "reason")
        said = last or text(waiting, "message")
        return f"{reason} ({said})" if said else reason
    ended = part(container, "state", "terminated")
    if ended and count(ended, "exitCode") != 0:
        return text(ended, "reason") or f"exit status {ended.get('exitCode')}"
    return None


def _daemonset(check: str, one: Object, space: str) -> Finding:
    status = part(one, "status")
    seen, generation = count(status, "observedGeneration"), count(one, "metadata", "generation")
    if seen is None or (generation is not None and seen < generation):
        return failure(
            check,
            f"DaemonSet {name(one)} was never looked at by the DaemonSet controller",
            "kubectl -n kube-system get pods -l component=kube-controller-manager",
        )
    wanted = count(status, "desiredNumberScheduled") or 0
    ready = count(status, "numberReady") or 0
    if wanted == 0:
        return warning(
            check,
            f"DaemonSet {name(one)} wants no pod: no Node has a label of its affinity",
            f"kubectl label node NODE {GPU_LABELS[0]}=true",
        )
    if ready < wanted:
        return failure(
            check,
            f"{ready} of {wanted} agents of {name(one)} are ready",
            f"kubectl -n {space} describe daemonset {name(one)}",
        )
    old = wanted - (count(status, "updatedNumberScheduled") or 0)
    if old > 0:
        return warning(
            check,
            f"all {wanted} agents are ready, {old} of them of an older revision",
            f"kubectl -n {space} rollout status daemonset {name(one)}",
        )
    return ok(check, f"all {wanted} agents of {name(one)} are ready")

"""Rules about the API server itself: version, clock, definitions, admission policy."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from citadel_k8s.cli.doctor.finding import Finding, failure, listed, ok, unknown, warning
from citadel_k8s.cli.doctor.objects import (
    Object,
    condition,
    label,
    name,
    part,
    parts,
    text,
    value,
)
from citadel_k8s.models.fabricnode import VERSION, FabricNodeSpec, FabricNodeStatus
from citadel_k8s.models.fabricstatus import FabricStatusStatus

OLDEST: Final = (1, 28)
"""Oldest Kubernetes that is supported. Source: the chart's ``kubeVersion``."""

POLICIES: Final = (1, 30)
"""First Kubernetes with ValidatingAdmissionPolicy in v1."""

CLOCK_WARN: Final = 2.0
"""Seconds between this machine's clock and a server's that are worth a word: a Date header has
whole seconds and an answer takes time, so that less proves nothing."""

CLOCK_FAIL: Final = 10.0
"""Seconds from which ages on the screen are wrong and tokens may be refused."""

POLICY: Final = "citadel-operator-writes"
"""Name of the admission policy in the manifests."""

FIELDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "fabricnodes": {
        "spec": tuple(f.alias or n for n, f in FabricNodeSpec.model_fields.items()),
        "status": tuple(f.alias or n for n, f in FabricNodeStatus.model_fields.items()),
    },
    "fabricstatuses": {
        "status": tuple(f.alias or n for n, f in FabricStatusStatus.model_fields.items()),
    },
}
"""Fields that the operator writes; what a definition does not have is dropped in silence."""

NTP: Final = "timedatectl set-ntp true"
"""What sets a clock right."""


def version(told: Object) -> Finding:
    """Judge the answer of ``GET /version``."""
    found = version_of(told)
    said = text(told, "gitVersion") or "a version that it does not tell"
    if found is None:
        return unknown("api-server", f"the API server answers, and is of {said}")
    if found < OLDEST:
        return failure(
            "api-server",
            f"Kubernetes {said} is older than {OLDEST[0]}.{OLDEST[1]}, the oldest supported",
            "upgrade the cluster's control plane",
        )
    return ok("api-server", f"Kubernetes {said} answers")


def version_of(told: Object) -> tuple[int, int] | None:
    """Give major and minor of ``GET /version``; clouds write ``29+``."""
    major = re.match(r"\d+", text(told, "major") or "")
    minor = re.match(r"\d+", text(told, "minor") or "")
    return (int(major[0]), int(minor[0])) if major and minor else None


def clock(date: str | None, before: float, after: float) -> Finding:
    """Judge the Date of an answer between two moments of this machine's clock."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return unknown("clock", "the API server's answers bear no date")
    # A Date is cut to whole seconds: the true moment is up to one second later.
    off = before - (theirs + 1) if before > theirs + 1 else min(0.0, after - theirs)
    return skew("clock", off, "this machine", "the API server")


def skew(check: str, off: float, mine: str, theirs: str) -> Finding:
    """Judge by how many seconds one clock is ahead of another."""
    if abs(off) < CLOCK_WARN:
        return ok(check, f"the clocks of {mine} and {theirs} agree within {CLOCK_WARN:g} s")
    said = f"the clock of {mine} is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} {theirs}"
    return (failure if abs(off) >= CLOCK_FAIL else warning)(check, said, NTP)


def definition(plural: str, found: Object | None, apply: str) -> Finding:
    """Judge a CustomResourceDefinition; None if it is not there."""
    check = f"crd-{plural}"
    if found is None:
        return failure(check, f"the definition of {plural} is not there", apply)
    if (condition(found, "Established") or {}).get("status") != "True":
        return failure(check, f"the definition of {plural} is not established", apply)
    fix = helm(found) or apply
    versions = parts(found, "spec", "versions")
    ours = next((v for v in versions if v.get("name") == VERSION), None)
    if ours is None or not ours.get("served"):
        return failure(check, f"{plural} is not served in {VERSION}", fix)
    if missing := _missing(plural, ours):
        fields = listed(missing)
        return failure(check, f"the definition of {plural} is old: it lacks {fields}", fix)
    if value(ours, "subresources", "status") is None:
        return failure(check, f"the definition of {plural} has no status subresource", fix)
    return _stored(check, plural, found, {str(v.get("name")) for v in versions})


def served(plural: str, resources: Object | None, apply: str) -> Finding:
    """Judge by discovery alone what is served; None if the group is not there."""
    check = f"crd-{plural}"
    if plural not in {r.get("name") for r in parts(resources, "resources")}:
        return failure(check, f"{plural} is not served in {VERSION}", apply)
    return unknown(
        check,
        f"{plural} is served; whether its schema is current could not be looked at: "
        "needs get on customresourcedefinitions",
    )


def policy(
    found: Object | None, binding: Object | None, running: tuple[int, int] | None
) -> Finding:
    """Judge the admission policy that keeps others from writing how nodes fare."""
    check = "admission-policy"
    if running is not None and running < POLICIES:
        return ok(
            check, "this Kubernetes knows no admission policies: rights alone keep others off"
        )
    fix = "kubectl apply -f manifests/policy.yaml"
    if found is None:
        return warning(check, "no policy keeps others from writing how nodes fare", fix)
    if binding is None:
        return warning(check, f"the policy {name(found)} is bound to nothing", fix)
    actions: list[str] = value(binding, "spec", "validationActions") or []
    if "Deny" not in actions:
        done = listed(actions) or "nothing"
        return warning(check, f"the policy {name(found)} only does {done}, it denies nothing", fix)
    if typed := parts(found, "status", "typeChecking", "expressionWarnings"):
        return warning(check, f"{name(found)}: {typed[0].get('warning')}", fix)
    return ok(check, "nobody but the operator may write how nodes fare")


def helm(raw: Any) -> str | None:
    """Give the command that renews an object of a Helm release, None for others."""
    if label(raw, "app.kubernetes.io/managed-by") != "Helm":
        return None
    notes = part(raw, "metadata", "annotations")
    release = text(notes, "meta.helm.sh/release-name") or "citadel"
    space = text(notes, "meta.helm.sh/release-namespace") or "citadel"
    return f"helm -n {space} upgrade {release} charts/citadel-k8s --reuse-values"


def _missing(plural: str, ours: Object) -> list[str]:
    schema = part(ours, "schema", "openAPIV3Schema", "properties")
    return [
        f"{section}.{field}"
        for section, fields in FIELDS[plural].items()
        for field in fields
        if field not in part(schema, section, "properties")
    ]


def _stored(check: str, plural: str, found: Object, known: set[str]) -> Finding:
    stored: list[str] = value(found, "status", "storedVersions") or []
    lost = [version for version in stored if version not in known]
    if lost:
        return failure(
            check,
            f"objects of {plural} are stored in {listed(lost)}, which the definition does not know",
            f"kubectl get {plural} -o json | kubectl replace -f -",
        )
    return ok(check, f"{plural} {VERSION} is served, and has every field that is written")

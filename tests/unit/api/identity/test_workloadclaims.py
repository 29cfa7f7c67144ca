"""What a service account's token says of its pod."""

from typing import Any

import pytest

from citadel_k8s.api.identity.jwks import JwtError
from citadel_k8s.api.identity.workloadclaims import workload_of
from citadel_k8s.domain.keys import node_id_from_name
from tests.unit.api.identity.signing import NOW, pod_claims

ACCOUNTS = ("citadel/agent", "citadel/other")


def kubernetes(**changes: Any) -> dict[str, Any]:
    whole = pod_claims()["kubernetes.io"] | changes
    return {key: value for key, value in whole.items() if value is not None}


def test_a_pod_is_bound_to_its_node():
    workload = workload_of(pod_claims(), ACCOUNTS)
    assert workload.node_id == "gpu-1"
    assert workload.account == "citadel/agent"
    assert workload.pod_uid == "pod-1"
    assert workload.expires_at == NOW + 3600


def test_a_long_node_name_gives_the_same_id_as_everywhere():
    name = "gpu-" + "a" * 100
    claims = pod_claims(**{"kubernetes.io": kubernetes(node={"name": name})})
    assert workload_of(claims, ACCOUNTS).node_id == node_id_from_name(name)


@pytest.mark.parametrize("changes", [{"node": None}, {"pod": None}, {"node": {}}])
def test_a_token_without_a_node_says_what_to_do_instead(changes: dict[str, Any]):
    with pytest.raises(JwtError, match=r"1\.30.*device token"):
        workload_of(pod_claims(**{"kubernetes.io": kubernetes(**changes)}), ACCOUNTS)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        (pod_claims(**{"kubernetes.io": None}), "no token of a Kubernetes"),
        (pod_claims(**{"kubernetes.io": "x"}), "no token of a Kubernetes"),
        (pod_claims(**{"kubernetes.io": kubernetes(namespace=7)}), "no token of a Kubernetes"),
        (pod_claims(**{"kubernetes.io": kubernetes(serviceaccount=[])}), "no token of"),
        (pod_claims(**{"kubernetes.io": kubernetes(namespace="kube-system")}), "registered"),
        (
            pod_claims(**{"kubernetes.io": kubernetes(serviceaccount={"name": "thief"})}),
            "registered",
        ),
        (pod_claims(sub="system:serviceaccount:citadel:other"), "subject"),
        (pod_claims(sub="system:admin"), "subject"),
        (pod_claims(**{"kubernetes.io": kubernetes(node={"name": "a/b"})}), "name of its node"),
        (pod_claims(**{"kubernetes.io": kubernetes(node={"name": "a\r\nb"})}), "name of its node"),
        (pod_claims(**{"kubernetes.io": kubernetes(node={"name": "a/" * 60})}), "name of its"),
        (pod_claims(**{"kubernetes.io": kubernetes(node="gpu-1")}), "no token of"),
        (pod_claims(**{"kubernetes.io": kubernetes(pod={"uid": ""})}), "no token of"),
    ],
)
def test_claims_that_do_not_fit_are_refused(claims: dict[str, Any], said: str):
    with pytest.raises(JwtError, match=said):
        workload_of(claims, ACCOUNTS)

"""Which programs the embedded stack runs; tools/ pins the same for building them."""

from typing import Final

KUBE_VERSION: Final = "1.36.3"
"""Kubernetes release of ``kube-apiserver`` and ``kubectl``. Source: tools/kube/go.mod."""

ETCD_VERSION: Final = "3.7.3"
"""etcd release. Source: tools/etcd/go.mod."""

ETCD_MINIMUM: Final = (3, 5)
"""Oldest etcd that is taken from PATH: the API server's storage needs nothing newer."""

"""Certificates and kubeconfigs of an embedded API server; they live as long as its folder."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from citadel_k8s.aio.clock import Clock, SystemClock

VALIDITY: Final = dt.timedelta(days=30)
"""How long certificates hold, in days: a demo left running over a holiday still works."""

BACKDATE: Final = dt.timedelta(hours=1)
"""How far back validity begins, in hours: a clock that is set back must not break a
running stack."""

SERVER_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
"""DNS names of the serving certificate. Source: the API server's well-known in-cluster names."""

SERVICE_ADDRESS: Final = "10.96.0.1"
"""Cluster IP of the `kubernetes` Service: the first of the default service range 10.96.0.0/16."""


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Pki:
    """All key material of one embedded cluster."""

    ca: Path
    server: Identity
    admin: Identity
    etcd: Identity
    service_account_key: Path
    service_account_public_key: Path


class Authority:
    """A certificate authority that exists in memory; only its certificate is written down."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._now = dt.datetime.fromtimestamp(clock.now(), tz=dt.UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("citadel-k8s-local-ca", None)
        certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file: str, name: str, group: str | None = None, *, serves: bool) -> Identity:
        """Sign a certificate.

        Parameters
        ----------
        file : str
            Name of the two files, without ending.
        name : str
            Common name: the user, for Kubernetes.
        group : str, optional
            Organization: the user's group, for Kubernetes.
        serves : bool
            Whether it is for a server on the loopback address; all are good for clients.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._builder(_name(name, group), key)
        if serves:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(_server_names(), critical=False)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        identity = Identity(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        identity.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(identity.key, key)
        return identity

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATE)
            .not_valid_after(self._now + VALIDITY)
        )


def make(folder: Path, clock: Clock | None = None) -> Pki:
    """Write all keys and certificates of a cluster into `folder`, private to this user.

    Parameters
    ----------
    folder : Path
        Made if missing.
    clock : Clock, optional
        Where the date comes from; the machine if left out.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = Authority(folder, clock or SystemClock())
    key = ec.generate_private_key(ec.SECP256R1())
    public = folder / "sa.pub"
    _write_key(folder / "sa.key", key)
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return Pki(
        ca=authority.certificate,
        server=authority.issue("apiserver", "kube-apiserver", serves=True),
        admin=authority.issue("admin", "admin", "system:masters", serves=False),
        etcd=authority.issue("etcd", "etcd", serves=True),
        service_account_key=folder / "sa.key",
        service_account_public_key=public,
    )


def write_admin_kubeconfig(path: Path, server: str, pki: Pki) -> Path:
    """Write a kubeconfig with all rights; `server` is an https URL. Return `path`."""
    user = {
        "client-certificate": str(pki.admin.certificate),
        "client-key": str(pki.admin.key),
    }
    return _write_kubeconfig(path, server, pki.ca, "admin", user)


def write_token_kubeconfig(path: Path, server: str, ca: Path, user: str, token: str) -> Path:
    """Write a kubeconfig for the bearer of a service account token. Return `path`."""
    return _write_kubeconfig(path, server, ca, user, {"token": token})


def _write_kubeconfig(path: Path, server: str, ca: Path, name: str, user: dict[str, Any]) -> Path:
    cluster = {"server": server, "certificate-authority": str(ca)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": name}}],
        "current-context": "local",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _name(common: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _server_names() -> x509.SubjectAlternativeName:
    addresses = [ipaddress.ip_address(text) for text in ("127.0.0.1", SERVICE_ADDRESS)]
    return x509.SubjectAlternativeName(
        [*map(x509.DNSName, SERVER_NAMES), *map(x509.IPAddress, addresses)]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

import datetime as dt
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.local import certs


@pytest.fixture
def pki(tmp_path: Path) -> certs.Pki:
    return certs.make(tmp_path / "pki", ManualClock())


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_every_certificate_is_signed_by_the_authority(pki: certs.Pki) -> None:
    authority = load(pki.ca)
    for identity in (pki.server, pki.admin, pki.etcd):
        load(identity.certificate).verify_directly_issued_by(authority)


def test_the_server_certificate_names_the_loopback_address_and_the_service(pki: certs.Pki) -> None:
    names = load(pki.server.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "kubernetes.default.svc" in names.value.get_values_for_type(x509.DNSName)
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert {str(address) for address in addresses} == {"127.0.0.1", "10.96.0.1"}


def test_the_administrator_belongs_to_the_masters_and_serves_nothing(pki: certs.Pki) -> None:
    certificate = load(pki.admin.certificate)
    assert "system:masters" in certificate.subject.rfc4514_string()
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.SERVER_AUTH not in purposes


def test_certificates_hold_from_an_hour_ago_for_thirty_days(pki: certs.Pki) -> None:
    now = dt.datetime.fromtimestamp(ManualClock().now(), tz=dt.UTC)
    certificate = load(pki.server.certificate)
    assert certificate.not_valid_before_utc == now - dt.timedelta(hours=1)
    assert certificate.not_valid_after_utc == now + dt.timedelta(days=30)


def test_keys_and_kubeconfigs_are_private_to_their_user(pki: certs.Pki, tmp_path: Path) -> None:
    config = certs.write_admin_kubeconfig(tmp_path / "admin.conf", "https://127.0.0.1:1", pki)
    for path in (pki.server.key, pki.admin.key, pki.etcd.key, pki.service_account_key, config):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_kubeconfig_carries_the_token_and_no_certificate(
    pki: certs.Pki, tmp_path: Path
) -> None:
    path = tmp_path / "robot.conf"
    certs.write_token_kubeconfig(path, "https://127.0.0.1:1", pki.ca, "robot", "secret")
    config = yaml.safe_load(path.read_text())
    assert config["users"] == [{"name": "robot", "user": {"token": "secret"}}]
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"

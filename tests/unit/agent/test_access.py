import ssl
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization

from citadel_k8s.agent.access import Access
from citadel_k8s.errors import ConfigError
from citadel_k8s.local import certs
from tests.unit.agent.test_http import Site, served


@pytest.fixture
def pki(tmp_path: Path) -> certs.Pki:
    return certs.make(tmp_path / "pki")


def with_tls(pki: certs.Pki, **more: Path) -> Access:
    return Access(cert_file=pki.server.certificate, key_file=pki.server.key, **more)


def client(pki: certs.Pki, identity: certs.Identity | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki.ca))
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


async def ask(site: Site, path: str, context: ssl.SSLContext) -> int:
    url = site.url.replace("http:", "https:") + path
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
        return response.status


async def test_without_any_file_everybody_may_ask_in_the_clear():
    access = Access()
    assert access.open
    assert access.tls is None


async def test_with_a_certificate_the_agent_speaks_tls(pki: certs.Pki):
    async with served(Site(with_tls(pki))) as site:
        assert await ask(site, "/status", client(pki)) == 200


async def test_a_client_of_the_authority_may_ask_and_one_without_sees_health_alone(pki: certs.Pki):
    async with served(Site(with_tls(pki, client_ca_file=pki.ca))) as site:
        assert await ask(site, "/status", client(pki, pki.admin)) == 200
        assert await ask(site, "/status", client(pki)) == 401
        assert await ask(site, "/health/live", client(pki)) == 200


async def test_a_certificate_of_another_authority_is_refused(pki: certs.Pki, tmp_path: Path):
    other = certs.make(tmp_path / "other")
    async with served(Site(with_tls(pki, client_ca_file=pki.ca))) as site:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
            await ask(site, "/status", client(pki, other.admin))


async def test_a_renewed_certificate_is_served_without_a_restart(pki: certs.Pki, tmp_path: Path):
    access = with_tls(pki)
    async with served(Site(access)) as site:
        other = certs.make(tmp_path / "other")
        pki.server.certificate.write_bytes(other.server.certificate.read_bytes())
        access.reload()  # half of a renewal: the key does not fit yet, and the old pair stays
        assert await ask(site, "/status", client(pki)) == 200
        pki.server.key.write_bytes(other.server.key.read_bytes())
        access.reload()
        assert await ask(site, "/status", client(other)) == 200


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"cert_file": "a"}, "httpKeyFile"),
        ({"key_file": "a"}, "httpCertFile"),
        ({"client_ca_file": "a"}, "httpClientCaFile needs"),
        ({"token_file": "none"}, "httpTokenFile"),
        ({"token_file": "empty"}, "is empty"),
        ({"cert_file": "empty", "key_file": "empty"}, "certificate"),
        ({"cert_file": "none", "key_file": "none"}, "certificate"),
    ],
)
def test_files_that_do_not_fit_are_an_error_that_names_the_setting(
    tmp_path: Path, files: dict[str, str], says: str
):
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(ConfigError, match=says):
        Access(**{name: tmp_path / file for name, file in files.items()})


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    pki: certs.Pki, tmp_path: Path
):
    encrypted = tmp_path / "key.pem"
    key = serialization.load_pem_private_key(pki.server.key.read_bytes(), None)
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    with pytest.raises(ConfigError, match="encrypted"):
        Access(cert_file=pki.server.certificate, key_file=encrypted)

import asyncio
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from citadel_k8s.local.download import DownloadError, Fetch, checksums, download

PROGRAM = b"\x7fELF" + bytes(100_000)


def host(pages: dict[str, bytes]) -> Fetch:
    """A release host that has these files, by the end of their URL."""

    async def fetch(url: str) -> AsyncIterator[bytes]:
        for end, body in pages.items():
            if url.endswith(end):
                for start in range(0, len(body), 4096):
                    yield body[start : start + 4096]
                return
        raise ConnectionRefusedError(url)

    return fetch


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def archive(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for machine in ("amd64", "arm64"):
            member = tarfile.TarInfo(f"etcd-v3.7.3-linux-{machine}/etcd")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


async def test_checksums_of_one_line_and_of_many_lines_are_read() -> None:
    many = f"{'1' * 64}  other.tar.gz\n" + "".join(
        f"{digest(machine.encode())}  etcd-v3.7.3-linux-{machine}.tar.gz\n"
        for machine in ("amd64", "arm64")
    )
    pages = {"/kubectl.sha256": digest(PROGRAM).encode(), "/SHA256SUMS": many.encode()}
    found = await checksums(["kubectl", "etcd"], host(pages))
    assert found["kubectl"] == digest(PROGRAM)
    assert found["etcd"] in {digest(b"amd64"), digest(b"arm64")}


async def test_a_refused_connection_is_reported_at_once() -> None:
    with pytest.raises(DownloadError, match=r"no checksums"):
        await checksums(["kubectl"], host({}))


async def test_an_error_page_is_no_checksum() -> None:
    with pytest.raises(DownloadError, match=r"no checksum of kubectl"):
        await checksums(["kubectl"], host({"/kubectl.sha256": b"<html>blocked</html>"}))


@pytest.mark.looptime
async def test_hosts_that_never_answer_cost_five_seconds_for_all_programs_together() -> None:
    async def fetch(_url: str) -> AsyncIterator[bytes]:
        await asyncio.sleep(3600)
        yield b""

    began = asyncio.get_running_loop().time()
    with pytest.raises(DownloadError, match="within 5 s"):
        await checksums(["kube-apiserver", "kubectl", "etcd"], fetch)
    assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)


@pytest.mark.looptime
async def test_a_download_that_stalls_is_given_up_and_leaves_nothing(tmp_path: Path) -> None:
    async def fetch(_url: str) -> AsyncIterator[bytes]:
        yield PROGRAM
        await asyncio.sleep(3600)

    began = asyncio.get_running_loop().time()
    with pytest.raises(DownloadError, match="TimeoutError"):
        await download("kubectl", digest(PROGRAM), tmp_path, fetch)
    assert asyncio.get_running_loop().time() - began == pytest.approx(20.0)
    assert not files(tmp_path)


async def test_a_program_with_the_published_checksum_is_executable(tmp_path: Path) -> None:
    path = await download("kubectl", digest(PROGRAM), tmp_path, host({"/kubectl": PROGRAM}))
    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o111
    assert files(tmp_path) == [path]


async def test_a_program_with_another_checksum_is_thrown_away(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="thrown away"):
        await download("kubectl", digest(b"other"), tmp_path, host({"/kubectl": PROGRAM}))
    assert not files(tmp_path)


async def test_half_a_download_is_thrown_away(tmp_path: Path) -> None:
    half = host({"/kubectl": PROGRAM[: len(PROGRAM) // 2]})
    with pytest.raises(DownloadError, match="thrown away"):
        await download("kubectl", digest(PROGRAM), tmp_path, half)
    assert not files(tmp_path)


async def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def fetch(_url: str) -> AsyncIterator[bytes]:
        yield PROGRAM[:50_000]
        raise ConnectionResetError("gone")

    with pytest.raises(DownloadError, match="gone"):
        await download("kubectl", digest(PROGRAM), tmp_path, fetch)
    assert not files(tmp_path)


async def test_etcd_is_taken_out_of_its_archive(tmp_path: Path) -> None:
    body = archive(PROGRAM)
    path = await download("etcd", digest(body), tmp_path, host({".tar.gz": body}))
    assert path.read_bytes() == PROGRAM
    assert files(tmp_path) == [path]


async def test_an_archive_without_etcd_is_an_error(tmp_path: Path) -> None:
    out = io.BytesIO()
    tarfile.open(fileobj=out, mode="w:gz").close()
    body = out.getvalue()
    with pytest.raises(DownloadError, match="etcd"):
        await download("etcd", digest(body), tmp_path, host({".tar.gz": body}))
    assert not files(tmp_path)

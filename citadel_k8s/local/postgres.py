"""A real PostgreSQL server on a loopback port; its data survive crashes and end with `close`."""

import asyncio
import ctypes
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from citadel_k8s.errors import StackError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.pgprograms import (
    NOBODY,
    copy_programs,
    find_programs,
    make_home,
    open_to_all,
)
from citadel_k8s.local.ports import LOOPBACK, Port

SUPERUSER: Final = "citadel"
"""The superuser's name in the database; row-level security does not bind a superuser."""

INIT_TIMEOUT: Final = 60.0
"""Seconds to make a data folder; 1.0 s was measured on a busy machine of 2 cores."""

START_TIMEOUT: Final = 60.0
"""Seconds until connections are taken, recovery after a crash included; 0.1 s was measured."""

STOP_TIMEOUT: Final = 10.0
"""Seconds for an orderly end, which writes at most the shared buffers to files."""

COMMAND_TIMEOUT: Final = 30.0
"""Seconds to create or drop a database; a new one is a copy of 8 MB."""

POLL: Final = 0.01
"""Seconds between looks at the server's state file while it starts."""

SETTINGS: Final = (
    f"listen_addresses={LOOPBACK}",
    "max_connections=100",
    "shared_buffers=32MB",
    "dynamic_shared_memory_type=mmap",  # files of its own folder: those in /dev/shm outlive a kill
    "io_method=sync",  # three processes less
    "max_logical_replication_workers=0",  # one process less
    "timezone=UTC",
    "log_timezone=UTC",
)
"""Settings of each server."""

QUICK: Final = ("fsync=off",)
"""Settings of one that need not survive a power cut. What its processes wrote is the kernel's,
which keeps it when they are killed. So nothing confirmed is lost, as long as a commit is written
before it is confirmed (`synchronous_commit`) and a page that a kill cut in half is mended from the
log (`full_page_writes`): both stay on."""


IPC_RMID: Final = 0
"""The request that frees a segment once nobody has it. Source: shmctl(2)."""


class Postgres:
    """One PostgreSQL server; its port, password and data stay the same until `close`.

    Parameters
    ----------
    folder : Path
        Its own folder, made if need be and deleted by `close`: logs and data. When root starts
        it, the data are in a temporary folder elsewhere, since the server runs as `NOBODY`.
    durable : bool
        Whether data also survive a power cut of the machine, at the price of slow commits.
    programs : Path, optional
        Folder of the programs; that of the wheel if left out.
    """

    def __init__(
        self, folder: Path, *, durable: bool = False, programs: Path | None = None
    ) -> None:
        self.folder = folder
        self.password = secrets.token_urlsafe(18)
        self._settings = (*SETTINGS, *(() if durable else QUICK))
        self._programs = programs
        self._server_programs: Path | None = None
        self._user = NOBODY if os.geteuid() == 0 else None
        self._home: Path | None = None
        self._port = Port()
        self._charge: Charge | None = None

    @property
    def port(self) -> int:
        """TCP port on the loopback address."""
        return self._port.number

    @property
    def url(self) -> str:
        """URL of the database ``postgres`` for the superuser, for any client."""
        return self.url_for("postgres")

    def url_for(self, database: str, user: str | None = None, password: str | None = None) -> str:
        """Return the URL of a database, for the superuser or a role that a test has made."""
        secret = self.password if password is None else password
        login = f"{quote(user or SUPERUSER, safe='')}:{quote(secret, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{quote(database, safe='')}"

    @property
    def pid(self) -> int:
        """Process id of the server; 0 when it does not run."""
        return self._charge.pid if self._charge else 0

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.folder / "postgres.log"

    @property
    def data(self) -> Path:
        """Folder of the data.

        Raises
        ------
        StackError
            The server was never started, or is closed.
        """
        if self._home is None:
            raise StackError("PostgreSQL has no data: it was never started, or is closed")
        return self._home / "data"

    async def start(self) -> Self:
        """Start the server, on a new data folder if there is none, and wait until it is ready.

        Raises
        ------
        BuildError
            The programs are missing.
        StackError
            It exited, or was not ready within `START_TIMEOUT` seconds; with the end of its log.
        """
        await asyncio.to_thread(self._make_folders)
        if not self._initialised():
            await self._initialise()
        settings = (*self._settings, f"port={self.port}", self._socket_setting())
        words = [word for setting in settings for word in ("-c", setting)]
        self._charge = await self._spawn("postgres", ["-D", str(self.data), *words], self.log_path)
        await self._charge.ready(self._answers, timeout=START_TIMEOUT, poll=POLL)
        self._give_up_segment()
        return self

    async def stop(self) -> None:
        """Stop the server in order (its clients are cut off); its data are kept."""
        if self._charge is not None:
            await self._charge.stop(STOP_TIMEOUT)
            self._charge = None

    async def restart(self) -> None:
        """Stop and start on the same port with the same data."""
        await self.stop()
        await self.start()

    async def kill(self) -> None:
        """Kill all its processes at once; `start` then recovers what was committed."""
        if self._charge is not None:
            self._give_up_segment()
            await self._charge.kill()
            self._charge = None
            # Nothing of it runs, but its number may be given to another process meanwhile.
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    async def pause(self) -> None:
        """Make all its processes hang (SIGSTOP): connections stay, answers stop."""
        await self._running().pause()

    async def resume(self) -> None:
        """End a pause."""
        await self._running().resume()

    async def close(self) -> None:
        """Stop the server, delete its data and its folder, and give its port back."""
        try:
            await self.kill()  # the data go anyway
        finally:
            await asyncio.to_thread(self._delete_folders)
            self._port.release()

    async def create_database(self, name: str) -> str:
        """Create an empty database and return its URL.

        Raises
        ------
        StackError
            The server refused, or gave no answer within `COMMAND_TIMEOUT` seconds.
        """
        await self._execute(f"CREATE DATABASE {_identifier(name)}")
        return self.url_for(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database, if it is there, and cut off its clients.

        Raises
        ------
        StackError
            The server refused, or gave no answer within `COMMAND_TIMEOUT` seconds.
        """
        await self._execute(f"DROP DATABASE IF EXISTS {_identifier(name)} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        words = ["-X", "-q", "-w", "-h", LOOPBACK, "-p", str(self.port), "-U", SUPERUSER]
        # A command is shown to other users of the machine, an environment is not.
        env = {**_environment(), "PGPASSWORD": self.password}
        process = await asyncio.create_subprocess_exec(
            self._find() / "psql",
            *words,
            *("-d", "postgres", "-c", statement),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=env,
        )
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                _, said = await process.communicate()
        except TimeoutError:
            raise StackError(
                f"PostgreSQL gave no answer within {COMMAND_TIMEOUT:.0f} s to {statement}"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise StackError(f"PostgreSQL refused {statement}: {said.decode().strip()}")

    async def _initialise(self) -> None:
        """Make the data folder, with a superuser who has a password."""
        secret = self._write_password()
        words = ["-D", str(self.data), "-U", SUPERUSER, f"--pwfile={secret}"]
        words += ["--auth=scram-sha-256", "--locale=C", "--encoding=UTF8"]
        words += ["--no-sync", "--no-instructions"]
        charge = await self._spawn("initdb", words, self.folder / "initdb.log")
        try:
            async with asyncio.timeout(INIT_TIMEOUT):
                status = await charge.wait()
        except BaseException as error:  # it must not write on while its folder is deleted
            await charge.kill()
            if isinstance(error, TimeoutError):
                raise StackError(f"initdb did not end within {INIT_TIMEOUT:.0f} s") from None
            raise
        if status:
            raise StackError(f"initdb failed with status {status}:\n{charge.tail()}")
        secret.unlink()

    async def _spawn(self, name: str, words: Sequence[str], log: Path) -> Charge:
        """Start one of the programs; each of its processes may be in a session of its own."""
        home = self.data.parent
        return await spawn(
            [(self._server_programs or self._find()) / name, *words],
            log,
            env=_environment(),
            cwd=home,
            remove=[home] if home == self.folder else [home, self.folder],
            end=signal.SIGINT,  # at SIGTERM it would wait until its clients have gone
            family=True,
            user=self._user,
        )

    def _find(self) -> Path:
        if self._programs is None:
            self._programs = find_programs()
        return self._programs

    def _make_folders(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._home is not None:
            return
        programs = self._find()
        if self._user is None:
            self._home = self.folder
            return
        self._home = make_home()
        if not (open_to_all(programs / "postgres") and open_to_all(programs.parent / "share")):
            self._server_programs = copy_programs(programs, self._home / "programs")

    def _delete_folders(self) -> None:
        home, self._home, self._server_programs = self._home, None, None
        if home is not None and home != self.folder:
            shutil.rmtree(home.parent, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialised(self) -> bool:
        return (self.data / "PG_VERSION").is_file()

    def _write_password(self) -> Path:
        path = self.data.with_name("password")
        path.touch(mode=0o600)
        path.write_text(self.password)
        if self._user is not None:
            os.chown(path, self._user, self._user)
        return path

    def _socket_setting(self) -> str:
        home = self.data.parent
        fits = len(f"{home}/.s.PGSQL.{self.port}") <= 107  # noqa: PLR2004 - sizeof(sun_path) - 1
        # The value is a list; a path may have commas and spaces.
        quoted = f'"{str(home).replace(chr(34), chr(34) * 2)}"'
        return f"unix_socket_directories={quoted if fits else ''}"

    def _running(self) -> Charge:
        if self._charge is None:
            raise StackError("PostgreSQL does not run")
        return self._charge

    async def _answers(self) -> bool:
        state = self._state()
        return state[:1] == [str(self.pid)] and state[7:8] == ["ready"]

    def _state(self) -> list[str]:
        """Return what the server says of itself: process id first, memory 7th, readiness 8th."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.strip() for line in lines]

    def _give_up_segment(self) -> None:
        """Let the kernel free the server's System V segment when its last process has gone.

        It is 56 bytes that guard the data folder, and would stay behind if the server is killed.
        """
        memory = " ".join(self._state()[6:7]).split()
        shmctl = getattr(ctypes.CDLL(None), "shmctl", None)
        if sys.platform == "linux" and shmctl is not None and len(memory) == len(("key", "id")):
            shmctl(int(memory[1]), IPC_RMID, None)


def _environment() -> dict[str, str]:
    """Return this process's environment without what would direct PostgreSQL elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _identifier(name: str) -> str:
    """Quote a name for a statement."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'

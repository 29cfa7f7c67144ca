"""How top ends, and where it does not begin."""

import asyncio
import os
import signal
import sys

import pytest

from citadel_k8s.cli.top.command import ended_by_signals, terminal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_leaves_the_screen_before_it_ends(number: signal.Signals):
    left = asyncio.Event()
    with ended_by_signals(left.set) as ended:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await left.wait()
    assert ended == [number]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_terminal_that_cannot_be_painted_on_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal()
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal()

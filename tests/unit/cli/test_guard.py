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

"""A real llama.cpp server."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import aiohttp
from typing_extensions import override

from citadel_k8s.local.engines import REQUEST_TIMEOUT, RunningEngine
from citadel_k8s.local.ports import LOOPBACK


class RunningLlamaCpp(RunningEngine):
    """The llama.cpp server with one model.

    Parameters
    ----------
    program : Path
        ``llama-server``.
    folder : Path
        Its own folder.
    model : Path
        A GGUF file.
    alias : str, optional
        Name of the model; its path if left out.
    api_key : str, optional
        What clients have to send.
    metrics : bool
        Whether it tells of its load.
    slots : int
        Requests that it serves at once; the others wait.
    options : sequence of str
        Further options.
    """

    _health: ClassVar[str] = "/health"

    def __init__(
        self,
        program: Path,
        folder: Path,
        model: Path,
        *,
        alias: str | None = None,
        api_key: str | None = None,
        metrics: bool = True,
        slots: int = 1,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(program, folder)
        self._model = model
        self._alias = alias
        self._api_key = api_key
        self._metrics = metrics
        self._slots = slots
        self._options = tuple(options)

    async def complete(self, *, tokens: int) -> None:
        """Have so many tokens generated; -1 goes on until the caller is cancelled."""
        body = {
            "prompt": "hello",
            "n_predict": tokens,
            "ignore_eos": True,
            "cache_prompt": False,
            "stream": True,  # only so does the server see that its client is gone
        }
        timeout = aiohttp.ClientTimeout(sock_read=REQUEST_TIMEOUT)
        async with (
            self._client() as http,
            http.post(f"{self.url}/completion", json=body, timeout=timeout) as answer,
        ):
            answer.raise_for_status()
            async for _ in answer.content.iter_any():
                pass

    @override
    def _arguments(self) -> Sequence[str | Path]:
        words: list[str | Path] = ["--model", self._model, "--host", LOOPBACK]
        words += ["--port", str(self.port), "--ctx-size", str(256 * self._slots)]
        words += ["--parallel", str(self._slots), "--threads", "1", "--context-shift", "--offline"]
        words += ["--alias", self._alias] if self._alias else []
        words += ["--metrics"] if self._metrics else []
        return [*words, *self._options]

    @override
    def _environment(self) -> dict[str, str]:
        own = {"HOME": str(self.folder)}
        return own | ({"LLAMA_API_KEY": self._api_key} if self._api_key else {})

    @override
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}

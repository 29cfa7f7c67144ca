"""A real Ollama."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from citadel_k8s.local.engines import RunningEngine
from citadel_k8s.local.ports import LOOPBACK


class RunningOllama(RunningEngine):
    """Ollama, at first without any model."""

    async def create(self, name: str, gguf: Path) -> str:
        """Make a model from a file and return its whole name, with its tag."""
        data = await asyncio.to_thread(gguf.read_bytes)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        async with (
            self._client() as http,
            http.post(f"{self.url}/api/blobs/{digest}", data=data) as answer,
        ):
            answer.raise_for_status()
        await self.ask(
            "/api/create",
            {
                "model": name,
                "files": {gguf.name: digest},
                "template": "{{ .Prompt }}",
                "parameters": {"num_ctx": 256},
                "stream": False,
            },
        )
        return name if ":" in name else f"{name}:latest"

    async def generate(self, name: str, *, tokens: int = 8, keep_alive: float = 300) -> None:
        """Have a model answer; it stays loaded for so many seconds."""
        await self.ask(
            "/api/generate",
            {
                "model": name,
                "prompt": "hello",
                "options": {"num_predict": tokens},
                "keep_alive": keep_alive,
                "stream": False,
            },
        )

    async def unload(self, name: str) -> None:
        """Have a model unloaded; it is gone from memory a moment later."""
        await self.ask("/api/generate", {"model": name, "keep_alive": 0, "stream": False})

    @override
    def _arguments(self) -> Sequence[str | Path]:
        return ["serve"]

    @override
    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "OLLAMA_HOST": f"{LOOPBACK}:{self.port}",
            "OLLAMA_MODELS": str(self.folder / "models"),
        }

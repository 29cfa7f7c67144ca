"""A real vLLM on the CPU, with a model of random weights that it makes up itself."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from typing_extensions import override

from citadel_k8s.local.engines import RunningEngine
from citadel_k8s.local.ports import LOOPBACK

VOCABULARY: Final = 512
"""Tokens of the model: three special ones and words."""

MODEL: Final[dict[str, Any]] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 64,  # the least that its attention on the CPU takes
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
"""The model; its weights are drawn at random when it is loaded."""


def write_tiny_config(folder: Path) -> Path:
    """Write the model's configuration and its tokenizer, which takes words apart; no weights."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    words = [*special.values(), *(f"word{number}" for number in range(3, VOCABULARY))]
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(words)},
            "unk_token": special["unk_token"],
        },
    }
    files: dict[str, dict[str, Any]] = {
        "config.json": MODEL,
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", **special},
    }
    for name, document in files.items():
        (folder / name).write_text(json.dumps(document))
    return folder


class RunningVllm(RunningEngine):
    """One vLLM server.

    Parameters
    ----------
    program : Path
        ``vllm``.
    folder : Path
        Its own folder.
    names : sequence of str
        Under which the model is served; the first one labels its metrics.
    api_key : str, optional
        What clients have to send below ``/v1``.
    """

    _health: ClassVar[str] = "/health"
    _start_timeout: ClassVar[float] = 540.0  # 55 s alone, 170 s on 2 cores that also compile

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        names: Sequence[str] = ("tiny-random-llama",),
        api_key: str | None = None,
    ) -> None:
        super().__init__(program, folder)
        self.names = tuple(names)
        self._api_key = api_key

    async def complete(self, *, tokens: int) -> None:
        """Have so many tokens generated, at most 250."""
        body = {"model": self.names[0], "prompt": "word5 word6", "max_tokens": tokens}
        await self.ask("/v1/completions", {**body, "ignore_eos": True})

    @override
    def _arguments(self) -> Sequence[str | Path]:
        model = write_tiny_config(self.folder / "model")
        words: list[str | Path] = ["serve", model, "--served-model-name", *self.names]
        words += ["--host", LOOPBACK, "--port", str(self.port), "--load-format", "dummy"]
        words += ["--dtype", "float32", "--enforce-eager"]
        return [*words, "--max-model-len", "256", "--max-num-seqs", "2"]

    @override
    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": str(self.folder),
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "1",
        }
        return own | ({"VLLM_API_KEY": self._api_key} if self._api_key else {})

    @override
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}

"""A tiny llama model with random weights, as a GGUF file that real engines load and run.

It answers nonsense, quickly: what is tested is how engines tell about themselves, not what they
say. The same seed gives the same bytes.
"""

import array
import math
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

LAYERS: Final = 2
"""Transformer blocks; two is the least that is not a special case."""

DIM: Final = 64
"""Width of the model."""

HEADS: Final = 4
"""Attention heads; the keys and values have half as many."""

FORWARD: Final = 128
"""Width of the feed-forward layers."""

VOCABULARY: Final = 512
"""Tokens: three special ones, all bytes, and words."""

CONTEXT: Final = 512
"""Tokens that the model was, as it says, trained to look back."""

ALIGNMENT: Final = 32
"""Bytes to whose multiple each tensor is aligned. Source: the GGUF format's default."""

_MAGIC: Final = b"GGUF"
_VERSION: Final = 3
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_F32: Final = 0
_UNKNOWN, _CONTROL, _NORMAL, _BYTE = 2, 3, 1, 6
_SCALARS: Final = {_UINT32: "<I", _INT32: "<i", _FLOAT32: "<f", _BOOL: "<?"}


def write_tiny_model(path: Path, *, seed: int = 1, forward: int = FORWARD) -> Path:
    """Write the model, about 570 kB.

    Parameters
    ----------
    path : Path
        The file; overwritten.
    seed : int
        Of the weights.
    forward : int
        Width of the feed-forward layers. Wider ones hold zeros and take no room on the disk, but
        1.5 kB each when loaded: a model that loads slowly.

    Returns
    -------
    Path
        `path`.
    """
    shapes = list(_shapes(forward))
    values = list(_metadata(forward))
    with path.open("wb") as file:
        file.write(_MAGIC + struct.pack("<IQQ", _VERSION, len(shapes), len(values)))
        for key, kind, value in values:
            file.write(_string(key) + struct.pack("<I", kind) + _value(kind, value))
        offset = 0
        for name, shape in shapes:
            file.write(_string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
            file.write(struct.pack("<IQ", _F32, offset))
            offset += _aligned(4 * math.prod(shape))
        start = _aligned(file.tell())
        source = random.Random(seed)  # noqa: S311 - no secret
        for name, shape in shapes:
            file.seek(start)
            if forward == FORWARD or forward not in shape:
                file.write(_weights(name, math.prod(shape), source))
            start += _aligned(4 * math.prod(shape))
        file.truncate(start)
    return path


def _weights(name: str, count: int, source: random.Random) -> bytes:
    if name.endswith("norm.weight"):
        numbers = array.array("f", [1.0]) * count
    else:
        numbers = array.array("f", (source.gauss(0.0, 0.2) for _ in range(count)))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _metadata(forward: int) -> Iterator[tuple[str, int, Any]]:
    yield "general.architecture", _STRING, "llama"
    yield "general.name", _STRING, "tiny random llama"
    yield "general.file_type", _UINT32, _F32
    yield "llama.block_count", _UINT32, LAYERS
    yield "llama.context_length", _UINT32, CONTEXT
    yield "llama.embedding_length", _UINT32, DIM
    yield "llama.feed_forward_length", _UINT32, forward
    yield "llama.attention.head_count", _UINT32, HEADS
    yield "llama.attention.head_count_kv", _UINT32, HEADS // 2
    yield "llama.attention.layer_norm_rms_epsilon", _FLOAT32, 1e-5
    yield "llama.rope.dimension_count", _UINT32, DIM // HEADS
    yield "llama.rope.freq_base", _FLOAT32, 10000.0
    yield "llama.vocab_size", _UINT32, VOCABULARY
    tokens, kinds = zip(*_tokens(), strict=True)
    yield "tokenizer.ggml.model", _STRING, "llama"
    yield "tokenizer.ggml.pre", _STRING, "default"
    yield "tokenizer.ggml.tokens", _ARRAY, (_STRING, tokens)
    yield "tokenizer.ggml.scores", _ARRAY, (_FLOAT32, tuple(-float(n) for n in range(VOCABULARY)))
    yield "tokenizer.ggml.token_type", _ARRAY, (_INT32, kinds)
    yield "tokenizer.ggml.unknown_token_id", _UINT32, 0
    yield "tokenizer.ggml.bos_token_id", _UINT32, 1
    yield "tokenizer.ggml.eos_token_id", _UINT32, 2
    yield "tokenizer.ggml.add_bos_token", _BOOL, True
    yield "tokenizer.ggml.add_eos_token", _BOOL, False


def _tokens() -> Iterator[tuple[str, int]]:
    yield "<unk>", _UNKNOWN
    yield "<s>", _CONTROL
    yield "</s>", _CONTROL
    yield from ((f"<0x{byte:02X}>", _BYTE) for byte in range(256))
    yield "\N{LOWER ONE EIGHTH BLOCK}", _NORMAL  # how this kind of tokenizer writes a space
    yield from ((f"word{number}", _NORMAL) for number in range(VOCABULARY - 260))


def _shapes(forward: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the tensors, the dimension that varies fastest first."""
    yield "token_embd.weight", (DIM, VOCABULARY)
    yield "output_norm.weight", (DIM,)
    yield "output.weight", (DIM, VOCABULARY)
    for block in range(LAYERS):
        yield from _block(f"blk.{block}.", forward)


def _block(prefix: str, forward: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}attn_norm.weight", (DIM,)
    yield f"{prefix}attn_q.weight", (DIM, DIM)
    yield f"{prefix}attn_k.weight", (DIM, DIM // 2)
    yield f"{prefix}attn_v.weight", (DIM, DIM // 2)
    yield f"{prefix}attn_output.weight", (DIM, DIM)
    yield f"{prefix}ffn_norm.weight", (DIM,)
    yield f"{prefix}ffn_gate.weight", (DIM, forward)
    yield f"{prefix}ffn_up.weight", (DIM, forward)
    yield f"{prefix}ffn_down.weight", (forward, DIM)


def _value(kind: int, value: Any) -> bytes:
    if kind == _STRING:
        return _string(value)
    if kind == _ARRAY:
        inner, items = value
        head = struct.pack("<IQ", inner, len(items))
        return head + b"".join(_value(inner, item) for item in items)
    return struct.pack(_SCALARS[kind], value)


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT

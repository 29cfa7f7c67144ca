"""What the families call their series; the first name that is there counts, old names last.

Sources: answers and names recorded from the programs (vLLM 0.8 to 0.32, llama.cpp b11434, SGLang
0.5.23), else the programs' documentation and sources (TGI, TEI, Triton, TensorRT-LLM, LMDeploy,
NIM, infinity).
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from citadel_k8s.collectors.engines.exposition import Metric

Names: TypeAlias = tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One family's words. ``mark``: beginnings of names that nobody else has.

    ``requests`` counts those that are finished, ``steps`` anything else that moves with use.
    ``running`` and ``waiting`` are requests, ``kv_cache`` a ratio, ``generation`` and ``prompt``
    tokens since the start; the two rates are gauges in tokens per second of versions without
    such counters; ``ttft`` and ``e2e`` are histograms in seconds. ``awake`` is 0 while the
    weights are put aside.
    """

    mark: tuple[bytes, ...]
    running: Names = ()
    waiting: Names = ()
    kv_cache: Names = ()
    generation: Names = ()
    prompt: Names = ()
    generation_rate: Names = ()
    prompt_rate: Names = ()
    ttft: Names = ()
    e2e: Names = ()
    requests: Names = ()
    steps: Names = ()
    awake: Names = ()


def _names(prefix: str, *names: str) -> Names:
    return tuple(Metric(f"{prefix}{name}".encode()) for name in names)


def _vllm(prefix: str) -> Series:
    """VLLM's own, and those of NIM and LMDeploy, which took its names over."""
    return Series(
        mark=(prefix.encode(),) if prefix else (),
        running=_names(prefix, "num_requests_running"),
        waiting=_names(prefix, "num_requests_waiting"),
        # The second up to vLLM 0.11, the first from 0.9.2 on.
        kv_cache=_names(prefix, "kv_cache_usage_perc", "gpu_cache_usage_perc"),
        generation=_names(prefix, "generation_tokens_total"),
        prompt=_names(prefix, "prompt_tokens_total"),
        # Gauges of old versions of vLLM.
        generation_rate=_names(prefix, "avg_generation_throughput_toks_per_s"),
        prompt_rate=_names(prefix, "avg_prompt_throughput_toks_per_s"),
        ttft=_names(prefix, "time_to_first_token_seconds"),
        e2e=_names(prefix, "e2e_request_latency_seconds"),
        requests=_names(prefix, "request_success_total", "e2e_request_latency_seconds_count"),
    )


def _more(first: Series, second: Series) -> Series:
    """Give the words of two families, the first one's first."""
    fields = Series.__dataclass_fields__
    return Series(**{name: getattr(first, name) + getattr(second, name) for name in fields})


VLLM: Final = _more(
    _vllm("vllm:"),
    Series(mark=(), awake=(Metric(b"vllm:engine_sleep_state", b'sleep_state="awake"'),)),
)

NIM: Final = _more(VLLM, _vllm(""))
"""NIM tells vLLM's series without a prefix, and in newer versions with it."""

SGLANG: Final = Series(
    mark=(b"sglang:",),
    running=_names("sglang:", "num_running_reqs"),
    waiting=_names("sglang:", "num_queue_reqs"),
    kv_cache=_names("sglang:", "token_usage"),
    generation=_names("sglang:", "generation_tokens_total"),
    prompt=_names("sglang:", "prompt_tokens_total"),
    generation_rate=_names("sglang:", "gen_throughput"),
    ttft=_names("sglang:", "time_to_first_token_seconds"),
    e2e=_names("sglang:", "e2e_request_latency_seconds"),
    requests=_names("sglang:", "num_requests_total", "e2e_request_latency_seconds_count"),
)

LMDEPLOY: Final = _vllm("lmdeploy:")

LLAMACPP: Final = Series(
    mark=(b"llamacpp:",),
    running=_names("llamacpp:", "requests_processing"),
    waiting=_names("llamacpp:", "requests_deferred"),
    # Of old versions; b11434 has none.
    kv_cache=_names("llamacpp:", "kv_cache_usage_ratio"),
    generation=_names("llamacpp:", "tokens_predicted_total"),
    prompt=_names("llamacpp:", "prompt_tokens_total"),
    steps=_names("llamacpp:", "n_decode_total"),
)

TGI: Final = Series(
    mark=(b"tgi_",),
    running=_names("tgi_", "batch_current_size"),
    waiting=_names("tgi_", "queue_size"),
    generation=_names("tgi_", "request_generated_tokens_sum"),
    prompt=_names("tgi_", "request_input_length_sum"),
    e2e=_names("tgi_", "request_duration"),
    requests=_names("tgi_", "request_count"),
)

TEI: Final = Series(
    mark=(b"te_",),
    waiting=_names("te_", "queue_size"),
    prompt=_names("te_", "request_input_length_sum"),
    e2e=_names("te_", "request_duration"),
    requests=_names("te_", "request_count"),
)

TRITON: Final = _more(
    Series(
        mark=(b"nv_inference_", b"nv_trt_llm_"),
        running=(Metric(b"nv_trt_llm_request_metrics", b'request_type="scheduled"'),),
        waiting=(
            Metric(b"nv_trt_llm_request_metrics", b'request_type="waiting"'),
            Metric(b"nv_inference_pending_request_count"),
        ),
        kv_cache=(Metric(b"nv_trt_llm_kv_cache_block_metrics", b'kv_cache_block_type="fraction"'),),
        ttft=(Metric(b"nv_inference_first_response_histogram_ms", scale=0.001),),
        requests=_names("nv_inference_", "request_success"),
        steps=_names("nv_inference_", "exec_count"),
    ),
    VLLM,
)
"""Triton may serve by vLLM or TensorRT-LLM, whose series it tells beside its own."""

INFINITY: Final = Series(
    mark=(),
    # Its web framework counts requests by path; those for the list and the metrics are ours.
    requests=(
        Metric(b"http_requests_total", b'handler="/embeddings"'),
        Metric(b"http_requests_total", b'handler="/v1/embeddings"'),
    ),
)

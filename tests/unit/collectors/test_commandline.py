import pytest

from citadel_k8s.collectors.commandline import (
    command_of,
    is_inner_runner,
    ports_in,
    words_of,
)


@pytest.mark.parametrize(
    ("line", "ports"),
    [
        ("vllm serve m --port 9000", {9000}),
        ("vllm serve m --port=9000", {9000}),
        ("llama-server -p 8081 --http_port 8082", {8081, 8082}),
        ("gunicorn --bind 0.0.0.0:7000 app", {7000}),
        ("x --listen=[::]:7001", {7001}),
        ("torchrun --master-port 29500 --nccl-port=29501", set()),
        ("x --port", set()),
        ("x --port auto --host 0.0.0.0", set()),
        ("x --port 0 --port 65536 --port 99999999999999999999 --port -1 --port ٣", set()),
    ],
)
def test_ports_are_those_that_a_program_was_told_to_listen_on(line: str, ports: set[int]):
    assert ports_in(line.split()) == ports


def test_words_within_one_argument_count_too():
    words = words_of(b"sh\0-c\0exec vllm serve m --port 9000\0")
    assert ports_in(words) == {9000}
    assert command_of(words) == "sh -c exec vllm serve m --port 9000"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("vllm --api-key a b --port 1", "vllm --api-key *** *** --port 1"),
        ("vllm --api-key=abc m", "vllm --api-key=*** m"),
        ("env HF_TOKEN=abc python x", "env HF_TOKEN=*** python x"),
        ("x --hf_token abc", "x --hf_token ***"),
        ("x --ssl-keyfile-password abc -q", "x --ssl-keyfile-password *** -q"),
        ("x redis://u:p@host:1/2 a@b", "x redis://***@host:1/2 a@b"),
        ("x https://host/p@th", "x https://host/p@th"),
        ("vllm --tokenizer gpt2 --max-num-batched-tokens 8", None),
        ("x --ssl-keyfile /tls/key", None),
    ],
)
def test_secrets_do_not_leave_the_node(line: str, shown: str | None):
    assert command_of(line.split()) == (line if shown is None else shown)


def test_a_command_is_one_short_line_without_control_characters():
    shown = command_of(words_of(b"a\x1b[2J\0b\nc\0\xff\0" + b"x" * 5000))
    assert shown is not None
    assert shown.startswith("a [2J b c � xxx")
    assert len(shown) == 512
    assert shown.isprintable()


def test_a_process_without_a_command_line_has_none():
    assert command_of(words_of(b"")) is None
    assert ports_in([]) == frozenset()
    assert not is_inner_runner([])


@pytest.mark.parametrize(
    ("line", "inner"),
    [
        ("/usr/bin/ollama runner --model x --port 40123", True),
        ("/usr/local/bin/ollama runner --ollama-engine --port 40123", True),
        ("/tmp/ollama123/runners/cuda_v12/ollama_llama_server --port 40123", True),
        ("/usr/bin/ollama serve", False),
        ("llama-server --port 8080", False),
    ],
)
def test_ollamas_runners_are_told_apart_from_its_server(line: str, inner: bool):  # noqa: FBT001
    assert is_inner_runner(line.split()) is inner

import json

import pytest

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.configmessage import ConfigEntry
from citadel_k8s.domain.deadletter import LETTER_PAYLOAD_MAX, dead_letter


def letter(**fields: bytes) -> dict[str, str]:
    return dead_letter(
        ConfigEntry("7-1", fields),
        queue="jobs:v1:config",
        reason="BadField at config: no\n",
        moved_at="2026-11-23T08:17:33Z",
        worker_id="gpu-1",
    )


def test_a_letter_says_what_was_refused_when_why_and_by_whom() -> None:
    assert letter(jobId=b"j-1", enqueuedAt=b"then", payload=b'{"a": 1}', type=b"t") == {
        "original_message_id": "7-1",
        "original_queue": "jobs:v1:config",
        "reason": "BadField at config: no\N{REPLACEMENT CHARACTER}",
        "moved_at": "2026-11-23T08:17:33Z",
        "worker_id": "gpu-1",
        "jobId": "j-1",
        "enqueuedAt": "then",
        "payload": '{"a": 1}',
    }


def test_what_is_not_there_is_empty_or_left_out() -> None:
    bare = letter()
    assert (bare["jobId"], bare["payload"], "enqueuedAt" in bare) == ("", "", False)


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({"config": {"vncPassword": "hunter2", "services": 7}}),
        json.dumps({"config": {"nodePasscode": ["hunter2"]}}),
        json.dumps([{"engines": [{"apiKey": {"x": "hunter2"}}]}]),
        json.dumps({"config": json.dumps({"vncPassword": "hunter2"})}),
        json.dumps({"config": r'{"\u0076ncPassw\u006frd": "hunter2"}'}),
        r'{"\u0076ncPasswor\u0064": "hunter2"',
        '{"vncPassword": "hunter2"',
        json.dumps({"engines": [{"name": "a", "url": "http://me:hunter2@10.0.0.1:8000"}]}),
        '{"url": "http://me:hunter2@10.0.0.1:8000"',
        json.dumps({"authkey": "hunter2"}),
        '{"VNCPASSWORD" "hunter2"}' + " " * MAX_ENTRY_BYTES,
    ],
)
def test_no_letter_holds_a_secret(payload: str) -> None:
    assert "hunter2" not in letter(payload=payload.encode())["payload"]
    assert "hunter2" not in letter(config=payload.encode())["payload"]


def test_what_is_no_json_is_kept_as_it_is_if_it_names_no_secret() -> None:
    assert letter(payload=b"no json \xff")["payload"] == "no json "
    assert letter(config=b"wins", payload=b"loses")["payload"] == "wins"


@pytest.mark.parametrize("size", [MAX_ENTRY_BYTES - 10, MAX_ENTRY_BYTES * 3])
def test_a_letter_is_bounded(size: int) -> None:
    for text in (json.dumps("ä" * (size // 2), ensure_ascii=False), "x" * size):
        kept = letter(payload=text.encode(), jobId=b"j" * size)
        assert len(kept["payload"].encode()) <= LETTER_PAYLOAD_MAX
        assert len(kept["jobId"]) <= 256

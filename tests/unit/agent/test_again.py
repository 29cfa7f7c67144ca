from pathlib import Path

import pytest

from citadel_k8s.agent.main import collect_again, collect_once
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.models.wire import StatusMessage


class EnoughError(Exception):
    """Ends what would go on for ever."""


async def test_a_host_is_looked_at_again_and_again_until_its_viewer_has_enough():
    settings = AgentSettings(
        node_name="n1", fake_gpu="l40sx2", publish="none", host_root=Path("/"), listen_port=0
    )
    seen: list[StatusMessage] = []

    def show(message: StatusMessage) -> None:
        seen.append(message)
        if len(seen) == 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        await collect_again(settings, 0.01, show)
    assert len({message.status.timestamp for message in seen}) == 3
    for message in seen:
        assert message.status.gpu is not None
        assert message.status.gpu[0].holders
        assert {source.state for source in message.status.collectors or ()} == {"ok"}


async def test_one_message_can_be_made_of_two_looks():
    settings = AgentSettings(node_name="n1", fake_gpu="l40sx2", publish="none")
    message = await collect_once(settings, rates_over=0.01)
    assert message.status.gpu is not None
    (holder,) = message.status.gpu[0].holders or ()
    assert holder.pod == "vllm-0"

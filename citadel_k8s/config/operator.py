"""Settings of the operator."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from citadel_k8s.config.base import Group, Settings
from citadel_k8s.constants import (
    FAST_INTERVAL,
    FAST_SKEW_SECONDS,
    HEARTBEAT_INTERVAL,
    INTERVAL_MAX,
    INTERVAL_MIN,
    MISSED_HEARTBEATS,
    SKEW_SECONDS,
)


class Election(Group):
    """Which of several operators writes: the holder of a Lease. Off, one alone always does."""

    enabled: bool = False
    namespace: str = "citadel"
    name: str = "citadel-operator"
    identity: str | None = None


class Alerts(Group):
    """Who is told of nodes that are not well. Nobody, until an address is named.

    ``secret_file`` signs what goes to the webhook; ``slack_url_file`` holds an address that is a
    secret itself.
    """

    alertmanager_url: str | None = Field(default=None, max_length=2048)
    webhook_url: str | None = Field(default=None, max_length=2048)
    secret_file: Path | None = None
    slack_url_file: Path | None = None
    group_wait_seconds: float = Field(default=10, ge=0, le=300)
    repeat_seconds: float = Field(default=14_400, ge=60)
    external_labels: dict[str, str] = Field(default_factory=dict[str, str])

    @field_validator("alertmanager_url", "webhook_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://x")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "must be http://host or https://host"
            raise ValueError(message)
        return value


class Cordon(Group):
    """Whether Nodes with a hardware fault are cordoned: never, only said, or done.

    ``max_ratio`` is the share of the cluster's Nodes beyond which nothing more is cordoned: a
    driver's bad release looks like a thousand broken GPUs.
    """

    mode: Literal["off", "dry-run", "on"] = "off"
    max_ratio: float = Field(default=0.1, gt=0, le=0.1)
    taint: str | None = Field(default=None, max_length=253)


class OperatorSettings(Settings):
    """Settings of the operator. The heartbeat values are for nodes that name none.

    ``profile`` gives those that are not set: ``default`` is 30 s * 3 + 10, ``fast`` 10 s * 3 + 5.
    ``probe_loopback`` lets silent nodes on this very machine be asked, for a tour or a test.
    """

    org_id: str | None = None
    kubeconfig: Path | None = None
    profile: Literal["default", "fast"] = "default"
    interval_seconds: float | None = Field(default=None, ge=INTERVAL_MIN, le=INTERVAL_MAX)
    missed_heartbeats: int | None = Field(default=None, ge=1, le=20)
    skew_seconds: float | None = Field(default=None, ge=0, le=120)
    node_label_selector: str | None = None
    unknown_nodes: Literal["adopt", "quarantine", "ignore"] = "adopt"
    decommission_hours: float = Field(default=72, gt=0, le=8760)
    probe_loopback: bool = False
    election: Election = Election()
    alerts: Alerts = Alerts()
    cordon: Cordon = Cordon()
    listen_host: str = "0.0.0.0"
    listen_port: int = Field(default=8080, ge=0, le=65535)

    @property
    def heartbeat(self) -> tuple[float, int, float]:
        """Interval (s), heartbeats that may be missed, seconds added; the profile's if not set."""
        fast = self.profile == "fast"
        interval = FAST_INTERVAL if fast else HEARTBEAT_INTERVAL
        skew = FAST_SKEW_SECONDS if fast else SKEW_SECONDS
        return (
            interval if self.interval_seconds is None else self.interval_seconds,
            MISSED_HEARTBEATS if self.missed_heartbeats is None else self.missed_heartbeats,
            skew if self.skew_seconds is None else self.skew_seconds,
        )

"""Every number that is a choice, with its unit, reason and source under it."""

from typing import Final

WIRE_VERSION: Final = "1.0"
"""Version of the status message and of the node status. Source: the wire contract; fixed."""

MAX_ENTRY_BYTES: Final = 1024 * 1024
"""Largest stream payload that is parsed, in bytes. An 8-GPU node sends 3 to 6 kB; 1 MiB is two
hundred times that and still parses in under 20 ms."""

NODE_ID_MAX: Final = 64
"""Longest node id, in characters. Source: the wire contract's ``^[a-zA-Z0-9._-]{1,64}$``."""

STATUS_STREAM: Final = "node:status:stream"
"""The durable stream of status messages. Source: the wire contract."""

STATUS_STREAM_MAXLEN: Final = 10_000
"""Approximate length at which the stream is trimmed, in entries. Source: the wire contract."""

HEARTBEAT_INTERVAL: Final = 30.0
"""Seconds between heartbeats. Source: the wire contract; the platform's sweep is sized for it."""

INTERVAL_MIN: Final = 5.0
"""Smallest accepted heartbeat interval, in seconds: below it the API server's share of a large
fleet is no longer bounded by the write budget."""

INTERVAL_MAX: Final = 300.0
"""Largest accepted heartbeat interval, in seconds: above it an outage takes longer to see than
to mend."""

MISSED_HEARTBEATS: Final = 3
"""Heartbeats that may be missed before a node is Offline: one is chance, two a hiccup."""

SKEW_SECONDS: Final = 10.0
"""Seconds added to the failure timeout for scheduling delays at either end. With 30 s and 3
missed beats the timeout is 100 s, as decided."""

FAST_INTERVAL: Final = 10.0
"""Seconds between heartbeats of the fast profile."""

FAST_SKEW_SECONDS: Final = 5.0
"""Seconds added to the failure timeout of the fast profile: 3 times 10 + 5 is 35 s, as decided."""

STALE_INTERVALS: Final = 1.5
"""Intervals without a heartbeat after which a value is called stale."""

GOODBYE_SECONDS: Final = 120.0
"""How long a node that said goodbye is Draining when it did not say when it will be back, in
seconds: a DaemonSet's rolling update replaces a pod well within two minutes."""

GOODBYE_MAX_SECONDS: Final = 600.0
"""Longest absence that a goodbye can announce, in seconds; beyond it silence is an outage."""

CLOCK_SKEW_MAX: Final = 10.0
"""Difference between a node's clock and the receiver's that is called a skew, in seconds: TLS and
token checks still work at 10 s, and network delay never gets there."""

DISK_FULL_RATIO: Final = 0.95
"""Share of the disk above which a node is Degraded: the kubelet evicts at 0.85 to 0.95."""

LIST_MAX: Final = 16
"""Entries kept of a list in an object's status; what is beyond is counted. 16 GPUs is the largest
node on sale."""

NAME_MAX: Final = 96
"""Characters kept of a name from outside in an object's status."""

STATUS_MAX_BYTES: Final = 4096
"""Largest status of a FabricNode, in bytes of JSON: 10,000 objects stay at 40 MB in etcd."""

STATUS_GROUP: Final = "citadel-status-workers"
"""Consumer group of the workers on the status stream. Source: the control plane's design."""

STATUS_LETTERS: Final = "node:status:dlq"
"""Stream of entries that no worker could take. Source: the control plane's design."""

STATUS_LETTERS_MAXLEN: Final = 10_000
"""Approximate length of that stream, in entries."""

ORG_STREAM_MAXLEN: Final = 5_000
"""Approximate length of an org's stream of changes, in entries: half a minute of 5,000 nodes. A
reader that was away for longer gets everything anew."""

LAST_STATUS_SECONDS: Final = 86_400
"""How long a node's last status is kept whole, in seconds: a night and a day."""

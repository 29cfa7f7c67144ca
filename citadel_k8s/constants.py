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

STALE_INTERVALS: Final = 1.5
"""Intervals without a heartbeat after which a value is called stale."""

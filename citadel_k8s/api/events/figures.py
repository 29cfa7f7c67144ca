"""What the streams have done so far, for whoever scrapes it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Figures:
    """Counts since the start, and what is open now.

    Attributes
    ----------
    streams, orgs
        Clients that are connected, and readers that run.
    deltas, unreadable
        Entries read, and those of them that said nothing.
    sent, snapshots
        Messages sent to clients; snapshots taken.
    resets
        How often an org's clients had to begin anew.
    stuck, revoked, refused
        Clients that were cut because they did not read, or whose credential had ended; those who
        came when there were too many.
    """

    streams: int = 0
    orgs: int = 0
    deltas: int = 0
    unreadable: int = 0
    sent: int = 0
    snapshots: int = 0
    resets: int = 0
    stuck: int = 0
    revoked: int = 0
    refused: int = 0

"""The cluster's times and bounds, on which its members agree."""

from dataclasses import dataclass, fields

RESPONSE_BYTES_MAX = 64 * 1024 * 1024
"""The largest response that the configuration allows a node, in bytes. Nothing longer is decompressed."""


@dataclass
class ClusterOptions:
    """Times in seconds, unless the name says otherwise; the defaults are those of the configuration's schema.

    A process has one such object. All its parts share it and read it anew each time, so a change of the configuration
    reaches them all.
    """

    session_lease_s: float = 2.5
    """A session ends this long after its last heartbeat, on the lease clock."""
    heartbeats_per_sec: float = 2.0
    heartbeats_borne_per_sec: float = 2000.0
    """The maximum number of heartbeats a second of all members together. If there are too many members, each sends
    fewer, under a longer lease."""
    max_step_s: float = 0.6
    """The longest step of the lease clock between two scripts."""
    absent_ttl_s: float = 30 * 86_400.0
    """The time for which a lost node is still expected; 0: until it is back, or until a command forgets it."""
    results_ttl_s: float = 3600.0
    command_ttl_s: float = 60.0
    """After this time no node begins the command."""
    command_timeout_s: float = 60.0
    """A command that runs longer is cancelled."""
    job_timeout_s: float = 3600.0
    """A job (a long command) that runs longer is ended."""
    max_jobs: int = 100
    """The maximum number of unfinished jobs of a node; it refuses further long commands."""
    max_running: int = 8
    max_waiting: int = 1000
    """The maximum number of commands that wait for a free slot on a node; it refuses further ones."""
    max_response_bytes: int = 4 * 1024 * 1024
    log_cap: int = 10_000
    """The maximum number of kept commands, whatever their age."""
    audit_cap: int = 10_000

    @property
    def heartbeat_s(self) -> float:
        """The time between two heartbeats."""
        return 1.0 / self.heartbeats_per_sec

    def become(self, other: "ClusterOptions") -> None:
        """Take over every value of `other`."""
        for field in fields(self):
            setattr(self, field.name, getattr(other, field.name))


def to_ms(seconds: float) -> int:
    """Whole milliseconds, the unit of the scripts."""
    return round(seconds * 1000)

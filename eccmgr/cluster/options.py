"""The cluster's times and bounds, as its members agree on them."""

from dataclasses import dataclass, fields


@dataclass
class ClusterOptions:
    """Times in seconds unless the name says otherwise; the defaults are those of the configuration's schema.

    A process has one, which all its parts hold and read anew each time: a change of the configuration reaches them all.
    """

    session_lease_s: float = 2.5
    """A session ends this long after its last heartbeat, on the lease clock."""
    heartbeats_per_sec: float = 2.0
    heartbeats_borne_per_sec: float = 2000.0
    """What all members together send at most: where they are too many, they send less often, under longer leases."""
    max_step_s: float = 0.6
    """The most that the lease clock advances between two scripts."""
    absent_ttl_s: float = 30 * 86_400.0
    """How long a node that was lost is still expected; 0: until it is back, or forgotten by command."""
    results_ttl_s: float = 3600.0
    command_ttl_s: float = 60.0
    """After this a command is not begun any more."""
    command_timeout_s: float = 60.0
    """A command that runs longer is cancelled."""
    job_timeout_s: float = 3600.0
    """A long command, which is a job, is ended after this."""
    max_jobs: int = 100
    """Jobs of one node that are not finished; over it a long command is refused."""
    max_running: int = 8
    max_waiting: int = 1000
    """Commands that wait for a free slot on a node; over it they are refused."""
    max_response_bytes: int = 4 * 1024 * 1024
    log_cap: int = 10_000
    """Commands kept at most, whatever their age."""
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
    """Whole milliseconds, as the scripts count."""
    return round(seconds * 1000)

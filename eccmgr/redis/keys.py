"""Every name of a key or channel of a cluster; no other code makes such names.

All have the hash tag `{ecc:CLUSTER}`. So the keys of one cluster lie in one slot of a Redis Cluster, and many clusters
spread over its slots.
"""

from dataclasses import dataclass
from functools import cached_property

from eccmgr.errors import SettingsError
from eccmgr.text.naming import ALLOWED, is_plain_name

TAG_BEGINS = "{ecc:"
"""The beginning of every cluster's tag."""


@dataclass(frozen=True)
class Keys:
    """The names of `cluster`. Each is made once, because every command uses them."""

    cluster: str

    def __post_init__(self) -> None:
        if not is_plain_name(self.cluster):
            raise SettingsError(f"Cluster name '{self.cluster}': {ALLOWED}")

    @cached_property
    def tag(self) -> str:
        """The beginning of every name."""
        return f"{TAG_BEGINS}{self.cluster}}}"

    # Keys.

    @cached_property
    def state(self) -> str:
        """Hash, with these fields. The lease clock: `clock` and `wall`. Views: the number of the current `view`, when
        their numbering began (`born`), and in which life of the server (`run`). The `last` id in the log. The number of
        the latest change of what `bus` files say. VIPs: the `era`, its memory (`mem`), whether it is `open`, and the
        number of the latest `change` of a VIP."""
        return f"{self.tag}:state"

    @cached_property
    def members(self) -> str:
        """Hash: node name in small letters (for other members the private name) → the member's record as JSON."""
        return f"{self.tag}:members"

    @cached_property
    def sessions(self) -> str:
        """Sorted set: private name → end of the session on the lease clock, in ms."""
        return f"{self.tag}:sessions"

    @cached_property
    def seniority(self) -> str:
        """Sorted set: private name → rank; the first one leads. Managers come before nodes, older members before
        younger ones."""
        return f"{self.tag}:seniority"

    @cached_property
    def roster(self) -> str:
        """Hash: name of a live node in small letters → private name, node name, subcluster, view of the join, private
        name before a reset."""
        return f"{self.tag}:roster"

    @cached_property
    def subclusters(self) -> str:
        """Hash: subcluster in small letters → number of its live nodes; -subcluster → number of its absent nodes; =node
        in small letters → its name, and SOURCE=SUBCLUSTER,… for each bus file that names it; @SOURCE → the bus file's
        name for people."""
        return f"{self.tag}:subclusters"

    @cached_property
    def absent(self) -> str:
        """Hash: name of an absent node in small letters → its line in the roster, and the wall clock in ms since which
        it is absent. A node is absent if its session ended without a leave, or if a bus file names it and it has no
        session."""
        return f"{self.tag}:absent"

    @cached_property
    def absent_since(self) -> str:
        """Sorted set: name of a lost node in small letters → the time at which it was lost, on the lease clock in
        ms."""
        return f"{self.tag}:absent:since"

    @cached_property
    def vips(self) -> str:
        """Hash: address → a VIP's record; private name → era and renewal counter of a session that carries VIPs; @node
        → the node's statement of its VIPs; ~node → the VIPs that it cannot carry now; !node → that it is drained."""
        return f"{self.tag}:vips"

    @cached_property
    def vip_changes(self) -> str:
        """Sorted set: field of `vips` → the number of its latest change."""
        return f"{self.tag}:vips:changes"

    @cached_property
    def vip_holds(self) -> str:
        """Hash: address → epoch, time of the grant on the server's wall clock in ms, node that holds the VIP, node that
        held it before."""
        return f"{self.tag}:vips:holds"

    @cached_property
    def vip_beliefs(self) -> str:
        """Hash: node in small letters → its latest statement of its beliefs about each VIP, compressed."""
        return f"{self.tag}:vips:beliefs"

    @cached_property
    def late(self) -> str:
        """Sorted set: session that carries VIPs → the time on the lease clock, in ms, from which it looks late."""
        return f"{self.tag}:vips:late"

    @cached_property
    def ended_prefix(self) -> str:
        """Before a private name: string, kept for a day after a session that carried VIPs has ended."""
        return f"{self.tag}:vips:ended:"

    @cached_property
    def log(self) -> str:
        """Stream: the ids of commands in order, with an entry for each release in batches and each withdrawal; trimmed
        by age and number."""
        return f"{self.tag}:log"

    @cached_property
    def heads(self) -> str:
        """Hash: channel → the id of its latest entry in the log."""
        return f"{self.tag}:heads"

    @cached_property
    def latest(self) -> str:
        """Hash: digest of a command's text → the id of its latest run."""
        return f"{self.tag}:latest"

    def latest_of(self, digest: str) -> str:
        """Hash for the text with this digest: channel → the latest run for the target with that channel; set:ID → a run
        for a set. A run is its entry in the log, its id, and KIND:NAME of its target."""
        return f"{self.latest}:{digest}"

    @cached_property
    def vocabulary(self) -> str:
        """Sorted set: first word of a command of any node, in small letters → the time at which a node last stated it,
        on the lease clock in ms."""
        return f"{self.tag}:vocabulary"

    @cached_property
    def audit(self) -> str:
        """Stream: the actions of users and nodes, and the lines of every daemon's account, trimmed by number."""
        return f"{self.tag}:audit"

    @cached_property
    def view_prefix(self) -> str:
        """Before a view's number: hash, the roster of that view, kept while a command expects it; its field '' says
        when the numbering began. With `:absent` after the number: hash, the nodes that were absent in that view."""
        return f"{self.tag}:view:"

    @cached_property
    def command_prefix(self) -> str:
        """Before a command's id: see `command`, `responses`, `arrived`, `plan`, `releases`, `secret`."""
        return f"{self.tag}:cmd:"

    def view(self, number: int) -> str:
        """See `view_prefix`."""
        return f"{self.view_prefix}{number}"

    def absent_in_view(self, number: int) -> str:
        """See `view_prefix`."""
        return f"{self.view_prefix}{number}:absent"

    def command(self, command_id: str) -> str:
        """Hash: text without its secrets, target, issuer, times and expected view of one command."""
        return f"{self.command_prefix}{command_id}"

    def responses(self, command_id: str) -> str:
        """Hash: node name in small letters → its entry: state and response."""
        return f"{self.command_prefix}{command_id}:resp"

    def arrived(self, command_id: str) -> str:
        """List: the nodes in the order of their responses, for a waiting gather."""
        return f"{self.command_prefix}{command_id}:arrived"

    def plan(self, command_id: str) -> str:
        """Hash: node name in small letters → the time on the lease clock, in ms, until which it may begin the command.
        If a command has a plan, no other node may begin it."""
        return f"{self.command_prefix}{command_id}:plan"

    def releases(self, command_id: str) -> str:
        """Hash: the signed releases of a command in batches, and the number of the one that names each node."""
        return f"{self.command_prefix}{command_id}:releases"

    def secret(self, command_id: str) -> str:
        """Hash: the text of a command that holds a secret, with its signed statement. It expires when no node may begin
        the command."""
        return f"{self.command_prefix}{command_id}:secret"

    def certificate(self, node: str) -> str:
        """String: the certificate of a node, which the node writes when it joins, and again every minute."""
        return f"{self.tag}:certificate:{node.lower()}"

    def schedules(self, owner: str) -> str:
        """Hash: id → a schedule of the managers (owner '') or of a node; it stays until it has run or is deleted."""
        return f"{self.tag}:sched:{owner.lower()}"

    def schedules_due(self, owner: str) -> str:
        """Sorted set: id of a schedule → its due time, in ms on the server's wall clock."""
        return f"{self.schedules(owner)}:due"

    def schedules_running(self, owner: str) -> str:
        """Hash: id of a schedule → its running run."""
        return f"{self.schedules(owner)}:running"

    def schedules_past(self, owner: str) -> str:
        """List: runs that have ended, the latest first."""
        return f"{self.schedules(owner)}:past"

    @cached_property
    def logs(self) -> str:
        """Sorted set: the names of the nodes whose logs are collected, in small letters, all with the same score."""
        return f"{self.tag}:logs"

    def logs_of(self, node: str) -> str:
        """Hash: name of a log of this node → what the node says of it, as JSON."""
        return f"{self.logs}:{node.lower()}"

    def log_pipe(self, node: str, log: str) -> str:
        """Stream: the records of a log that no manager has written yet. `log` is its name in a safe form."""
        return f"{self.logs}:{node.lower()}:{log}"

    def log_state(self, node: str, log: str) -> str:
        """Hash: the state of that pipe. The place at its end (`tail`), the bytes that ever went in (`sent`) and out
        (`taken`), who `subscribes`, what the node `says`, the bytes `lost`. For each subscriber, after a colon: the
        `lease` (private name of the manager, epoch), the checkpoint (`at`), the bytes that it has taken (`has`)."""
        return f"{self.log_pipe(node, log)}:state"

    @cached_property
    def log_gatherers(self) -> str:
        """Hash: private name of a manager that collects logs → what it subscribes to, as JSON."""
        return f"{self.tag}:loggatherers"

    @cached_property
    def series(self) -> str:
        """Sorted set: name of an audit series → when it was last added to, in ms on the server's wall clock."""
        return f"{self.tag}:series"

    def series_counts(self, name: str) -> str:
        """Sorted set: node and key, with a tab between them → count in the present window of this series."""
        return f"{self.series}:{name}:counts"

    def series_closed(self, name: str) -> str:
        """Sorted set: the counts of its last window, until a manager has written them."""
        return f"{self.series}:{name}:closed"

    def series_window(self, name: str) -> str:
        """Hash: when the present window began; begin and end of the last one, and who writes it in which epoch."""
        return f"{self.series}:{name}:window"

    def series_written(self, name: str) -> str:
        """List: begin and epoch of each window that was written, the latest first."""
        return f"{self.series}:{name}:written"

    def series_batch(self, sender: str) -> str:
        """String: the number of the latest batch of counts that this sender has added."""
        return f"{self.tag}:seriesbatch:{sender}"

    @cached_property
    def rq_prefix(self) -> str:
        """The beginning of RQ's own names: RQ_KEY_PREFIX in the environment of RQ's tools."""
        return f"{self.tag}:rq"

    @cached_property
    def jobs(self) -> str:
        """Hash: node in small letters → its jobs, as it tells them to everybody who shows jobs."""
        return f"{self.tag}:jobs"

    def draft(self, nonce: str) -> str:
        """Hash: the plan of a command for a large set, before the command is sent."""
        return f"{self.tag}:draft:{nonce}"

    # Channels.

    @cached_property
    def everyone(self) -> str:
        """Commands for all nodes."""
        return f"{self.tag}:bcast"

    def subcluster(self, name: str) -> str:
        """Commands for the nodes of one subcluster."""
        return f"{self.tag}:sub:{name.lower()}"

    def node(self, name: str) -> str:
        """Commands for one node."""
        return f"{self.node_prefix}{name.lower()}"

    @cached_property
    def node_prefix(self) -> str:
        """Before a node's name in small letters: the node's channel."""
        return f"{self.tag}:node:"

    @cached_property
    def events(self) -> str:
        """The changes of the membership: joins, leaves, losses."""
        return f"{self.tag}:events"

    @cached_property
    def vip_events(self) -> str:
        """Tells the agents that VIPs have changed."""
        return f"{self.tag}:vips:events"

    def tailed(self, process: str) -> str:
        """Lines of logs for one manager process, which shows them as they arrive."""
        return f"{self.tag}:tail:{process}"

    def notices(self, process: str) -> str:
        """Tells one manager process that responses for one of its gathers have come."""
        return f"{self.tag}:notices:{process}"

"""Every key and channel name of a cluster; none is made anywhere else.

All share the hash tag `{ecc:CLUSTER}`, so one cluster's keys lie in one slot of a Redis Cluster and many
clusters spread over it.
"""

from dataclasses import dataclass
from functools import cached_property

from eccmgr.errors import SettingsError
from eccmgr.naming import ALLOWED, is_plain_name

TAG_BEGINS = "{ecc:"
"""What the tag of every cluster begins with."""


@dataclass(frozen=True)
class Keys:
    """The names that belong to `cluster`; each is made once, since they are used for every command."""

    cluster: str

    def __post_init__(self) -> None:
        if not is_plain_name(self.cluster):
            raise SettingsError(f"Cluster name '{self.cluster}': {ALLOWED}")

    @cached_property
    def tag(self) -> str:
        """What every name begins with."""
        return f"{TAG_BEGINS}{self.cluster}}}"

    # Keys.

    @cached_property
    def state(self) -> str:
        """Hash: the lease clock (`clock`, `wall`), the number of the `view`, since when (`born`) and in which life of
        the server (`run`) views are numbered, the `last` id in the log,
        the number of the latest change of what `bus` files say,
        the `era` with its memory (`mem`) and whether it is `open`, the number of the latest `change` of a VIP."""
        return f"{self.tag}:state"

    @cached_property
    def members(self) -> str:
        """Hash: node name in small letters (a private name for what is no node) → its record as JSON."""
        return f"{self.tag}:members"

    @cached_property
    def sessions(self) -> str:
        """Sorted set: private name → end of its session on the lease clock, in ms."""
        return f"{self.tag}:sessions"

    @cached_property
    def seniority(self) -> str:
        """Sorted set: private name → rank; the first one leads. Managers come before nodes, older before younger."""
        return f"{self.tag}:seniority"

    @cached_property
    def roster(self) -> str:
        """Hash: live node, by its name in small letters → private name, node name, subcluster, view of its join,
        private name that it had before a reset."""
        return f"{self.tag}:roster"

    @cached_property
    def subclusters(self) -> str:
        """Hash: subcluster in small letters → number of its live nodes; -subcluster → of its absent ones;
        =node in small letters → its name and what bus files say of it, SOURCE=SUBCLUSTER,… of each; @SOURCE → what
        people call that file."""
        return f"{self.tag}:subclusters"

    @cached_property
    def absent(self) -> str:
        """Hash: node that is expected and not there, by its name in small letters → its line in the roster, and since
        when it is absent, on the wall clock in ms: its session ended without a leave, or a bus file names it."""
        return f"{self.tag}:absent"

    @cached_property
    def absent_since(self) -> str:
        """Sorted set: node that was lost, by its name in small letters → when, on the lease clock, in ms."""
        return f"{self.tag}:absent:since"

    @cached_property
    def vips(self) -> str:
        """Hash: address → a VIP's record; private name → era and renewal counter of a session that carries VIPs;
        @node → what it says of its VIPs; ~node → those that it cannot carry now; !node → that it is drained."""
        return f"{self.tag}:vips"

    @cached_property
    def vip_changes(self) -> str:
        """Sorted set: what changed in `vips` → the number of its latest change."""
        return f"{self.tag}:vips:changes"

    @cached_property
    def vip_beliefs(self) -> str:
        """Hash: node in small letters → what it last said that it believes of each VIP, compressed."""
        return f"{self.tag}:vips:beliefs"

    @cached_property
    def late(self) -> str:
        """Sorted set: session that carries VIPs → from when on, on the lease clock, in ms, it looks late."""
        return f"{self.tag}:vips:late"

    @cached_property
    def ended_prefix(self) -> str:
        """Followed by a private name: string, kept for a day after a session that carried VIPs was ended."""
        return f"{self.tag}:vips:ended:"

    @cached_property
    def log(self) -> str:
        """Stream: the ids of commands in order, and which were released in batches or withdrawn; trimmed by age and
        number."""
        return f"{self.tag}:log"

    @cached_property
    def heads(self) -> str:
        """Hash: channel → the id of its latest entry in the log."""
        return f"{self.tag}:heads"

    @cached_property
    def latest(self) -> str:
        """Hash: SHA-1 of a command's text, white space folded → the id of its latest run."""
        return f"{self.tag}:latest"

    def latest_of(self, digest: str) -> str:
        """Hash, of the text with this digest: channel → the latest run for the target that it reaches; set:ID → a run
        for a set. A run is its entry in the log, its id, and KIND:NAME of its target."""
        return f"{self.latest}:{digest}"

    @cached_property
    def vocabulary(self) -> str:
        """Sorted set: word that a command of some node begins with, in small letters → when a node last said it, on the
        lease clock, in ms."""
        return f"{self.tag}:vocabulary"

    @cached_property
    def audit(self) -> str:
        """Stream: who did what, trimmed by number."""
        return f"{self.tag}:audit"

    @cached_property
    def view_prefix(self) -> str:
        """Followed by a view's number: hash, that view's roster, kept while a command expects it, with a field '' that
        says when its numbering began; followed by `:absent` too: hash, the nodes that were absent."""
        return f"{self.tag}:view:"

    @cached_property
    def command_prefix(self) -> str:
        """Followed by a command's id: see `command`, `responses`, `arrived`, `plan`."""
        return f"{self.tag}:cmd:"

    def view(self, number: int) -> str:
        """See `view_prefix`."""
        return f"{self.view_prefix}{number}"

    def absent_in_view(self, number: int) -> str:
        """See `view_prefix`."""
        return f"{self.view_prefix}{number}:absent"

    def command(self, command_id: str) -> str:
        """Hash: text, target, issuer, times and expected view of one command."""
        return f"{self.command_prefix}{command_id}"

    def responses(self, command_id: str) -> str:
        """Hash: node name in small letters → its state and response."""
        return f"{self.command_prefix}{command_id}:resp"

    def arrived(self, command_id: str) -> str:
        """List: the nodes in the order of their responses, for a gather that waits."""
        return f"{self.command_prefix}{command_id}:arrived"

    def plan(self, command_id: str) -> str:
        """Hash: node name in small letters → until when, on the lease clock in ms, it may begin a command that is not
        for all on its channel; whoever is not in it may not."""
        return f"{self.command_prefix}{command_id}:plan"

    def schedules(self, owner: str) -> str:
        """Hash: id → a schedule of the managers (owner '') or of a node; it stays until it has run or is deleted."""
        return f"{self.tag}:sched:{owner.lower()}"

    def schedules_due(self, owner: str) -> str:
        """Sorted set: id of a schedule → when it is due, in ms on the server's wall clock."""
        return f"{self.schedules(owner)}:due"

    def schedules_running(self, owner: str) -> str:
        """Hash: id of a schedule → its run that has not ended."""
        return f"{self.schedules(owner)}:running"

    def schedules_past(self, owner: str) -> str:
        """List: runs that have ended, the latest first."""
        return f"{self.schedules(owner)}:past"

    @cached_property
    def rq_prefix(self) -> str:
        """What RQ's own names begin with: the environment's RQ_KEY_PREFIX for its tools."""
        return f"{self.tag}:rq"

    def draft(self, nonce: str) -> str:
        """Hash: the plan of a command for a large set, before it is sent."""
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
        """Followed by a node's name in small letters: its channel."""
        return f"{self.tag}:node:"

    @cached_property
    def events(self) -> str:
        """Joins, leaves, losses."""
        return f"{self.tag}:events"

    @cached_property
    def vip_events(self) -> str:
        """Tells the agents that something about VIPs has changed."""
        return f"{self.tag}:vips:events"

    def notices(self, process: str) -> str:
        """Tells one manager process that responses wait for one of its gathers."""
        return f"{self.tag}:notices:{process}"

"""The charter of a guardian, made from the node's configuration and its way to Redis."""

from __future__ import annotations

from dataclasses import asdict

from eccmgr.cluster.timing import Timing
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.options import cluster_options
from eccmgr.redis.address import Mode, RedisAddress
from worker.duravip.options import FenceKind, PlumberKind, duravip_options
from worker.duravip.vips import read_grounds
from worker.guardian.charter import LONGEST_HOLD_S, Charter, Grounds, Server

_SLOWEST_HOLD_S = 30.0
"""Three heartbeats at the slowest pace that can be configured."""


def charter_of(view: ScopeView, redis: RedisAddress) -> Charter:
    """The charter for the guardian of an agent with fewer rights: it permits what the configuration permits. Raises
    EccmgrError."""
    options, times = duravip_options(view), cluster_options(view)
    hold_s = Timing.of(times.heartbeat_s, times.session_lease_s, times.max_step_s).hold_s
    return Charter(
        read_grounds(view),
        _server(redis),
        redis.mode is not Mode.STANDALONE,
        max(LONGEST_HOLD_S, hold_s),
        guardians_plumber(options.plumber),
        guardians_fence(options.fence),
    )


def own_charter(redis: RedisAddress) -> Charter:
    """The charter for the guardian of an agent with the same rights: it permits any address, because the agent could
    change any itself."""
    anywhere = Grounds("0.0.0.0/0"), Grounds("::/0")
    return Charter(anywhere, _server(redis), redis.mode is not Mode.STANDALONE, _SLOWEST_HOLD_S)


def guardians_plumber(plumber: PlumberKind) -> str:
    """The guardian's name for a plumber."""
    return PlumberKind.NETLINK if plumber is PlumberKind.AUTO else plumber.value


def guardians_fence(fence: FenceKind) -> str:
    """The guardian's name for a fence; "" stands for the best one that works."""
    return "" if fence is FenceKind.AUTO else fence.value


def _server(redis: RedisAddress) -> Server:
    return Server(redis.host, redis.port, redis.path, **asdict(redis.access))

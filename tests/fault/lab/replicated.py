"""A master and two replicas under Sentinel, on hosts of the laboratory."""

import signal
import time
from pathlib import Path
from typing import Any

import redis

from eccmgr.redis.embedded import find_server
from tests.fault.lab.hosts import Lab
from tests.fault.lab.redis_host import DATA_OPTIONS, SERVER, TITLE
from tests.waiting import wait_until_sync

COPIES = (SERVER, "redis2", "redis3")
"""The hosts of the copies. Each has a sentinel too."""
_SENTINEL = """
port 26379
bind 0.0.0.0
protected-mode no
dir {folder}
unixsocket {folder}/sentinel.sock
sentinel monitor lab {master} 6379 2
sentinel down-after-milliseconds lab 1000
sentinel failover-timeout lab 3000
"""


class ReplicatedRedis:
    """The master and replicas that the sentinels call `lab`."""

    hosts = COPIES

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.url = f"redis+sentinel://{','.join(f'{lab.address(host)}:26379' for host in COPIES)}/lab/0"

    def start(self) -> None:
        """Start all, and wait until the sentinels know each other and the replicas."""
        for host in COPIES:
            self._folder(host).mkdir()
            self._begin(host, () if host == SERVER else ("--replicaof", self._lab.address(SERVER), "6379"))
        for host in COPIES:
            folder = self._folder(host)
            configuration = folder / "sentinel.conf"
            configuration.write_text(_SENTINEL.format(folder=folder, master=self._lab.address(SERVER)))
            program = (str(find_server()), str(configuration), "--sentinel")
            self._lab.hosts[host].start(*program, log=self._lab.folder / f"{host}-sentinel.log")
        wait_until_sync(self.whole, "the sentinels know all copies", 60.0)

    def _folder(self, host: str) -> Path:
        return self._lab.folder / host

    def _begin(self, host: str, more: tuple[str, ...] = ()) -> None:
        folder = self._folder(host)
        options = ("--port", "6379", "--dir", str(folder), "--unixsocket", str(folder / "redis.sock"), *DATA_OPTIONS)
        program = (str(find_server()), *options, "--repl-diskless-sync-delay", "0", *more)
        self._lab.hosts[host].start(*program, log=self._lab.folder / f"{host}.log")

    def whole(self) -> bool:
        """Whether each sentinel knows the others, a master that is up, and two replicas that follow it."""
        try:
            return all(self._knows_all(host) for host in COPIES)
        except (redis.RedisError, OSError):
            return False

    def _knows_all(self, host: str) -> bool:
        state = _fields(self._asked(host, "MASTER"))
        replicas = [_fields(replica) for replica in self._asked(host, "REPLICAS")]
        known = (state["num-slaves"], state["num-other-sentinels"], state["flags"])
        return known == ("2", "2", "master") and [each["master-link-status"] for each in replicas] == ["ok", "ok"]

    def master(self) -> str:
        """The host of the master, as a sentinel names it."""
        address = _fields(self._asked(SERVER, "MASTER"))["ip"]
        return next(host for host in COPIES if self._lab.address(host) == address)

    def _asked(self, host: str, what: str) -> Any:
        path = self._folder(host) / "sentinel.sock"
        with redis.Redis(unix_socket_path=str(path), socket_timeout=5, protocol=2, decode_responses=True) as client:
            return client.execute_command("SENTINEL", what, "lab")

    def fail_over(self, stale_s: float) -> str:
        """Stop the replicas for `stale_s`, kill the master (-9), continue the replicas; return the master's host."""
        master = self.master()
        replicas = [self._lab.hosts[host] for host in COPIES if host != master]
        for host in replicas:
            host.signal(signal.SIGSTOP, host.pids(TITLE))
        time.sleep(stale_s)
        self._lab.hosts[master].kill(TITLE)
        for host in replicas:
            host.signal(signal.SIGCONT, host.pids(TITLE))
        return master

    def hand_over(self) -> None:
        """Have the sentinels promote a replica although the master is well, as an operator does for maintenance."""
        self._asked(SERVER, "FAILOVER")

    def mend(self, host: str) -> None:
        """Start the copy on a host again, and wait until it follows."""
        self._begin(host, ("--replicaof", self._lab.address(self.master()), "6379"))
        wait_until_sync(self.whole, "the copy follows", 60.0)


def _fields(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))

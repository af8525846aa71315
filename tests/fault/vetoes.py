"""The refusals of Redis: caused on the real server, or sent by the proxy in its place."""

import contextlib
import enum
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import redis
from redis.exceptions import RedisError


class Veto(enum.StrEnum):
    """The first word of a refusal."""

    OOM = "OOM"
    MISCONF = "MISCONF"
    NOREPLICAS = "NOREPLICAS"
    READONLY = "READONLY"
    BUSY = "BUSY"
    MASTERDOWN = "MASTERDOWN"
    NOPERM = "NOPERM"
    LOADING = "LOADING"
    CLUSTERDOWN = "CLUSTERDOWN"
    TRYAGAIN = "TRYAGAIN"
    ASK = "ASK"
    NOAUTH = "NOAUTH"
    DENIED = "DENIED"
    PROTOCOL = "PROTOCOL"


SAID = {
    Veto.LOADING: b"-LOADING Redis is loading the dataset in memory\r\n",
    Veto.CLUSTERDOWN: b"-CLUSTERDOWN Hash slot not served\r\n",
    Veto.TRYAGAIN: b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    Veto.ASK: b"-ASK 5 127.0.0.1:1\r\n",
    Veto.NOAUTH: b"-NOAUTH Authentication required.\r\n",
    Veto.DENIED: b"-DENIED Redis is running in protected mode because protected mode is enabled.\r\n",
    Veto.PROTOCOL: b"-ERR Protocol error: expected '$', got ' '\r\n",
}
"""The refusals that the proxy sends. The server itself can be made to give the others."""
REAL = tuple(each for each in Veto if each not in SAID)
ENDS_CONNECTIONS = frozenset({Veto.DENIED, Veto.PROTOCOL})
"""After these Redis closes the connection."""
_ALWAYS = frozenset({b"HELLO", b"AUTH", b"SELECT", b"CLIENT", b"QUIT"})
_WITHOUT_KEYS = frozenset({b"PING", b"INFO", b"CONFIG", b"SCRIPT", b"WAIT"})
_OF_A_CLUSTER = frozenset({Veto.CLUSTERDOWN, Veto.TRYAGAIN, Veto.ASK})
_BEGIN_WAIT_S, _END_WAIT_S = 3.0, 15.0
_LONG_SCRIPT = "for i = 1, 1e9 do end"
_NOWHERE = ("127.0.0.1", "1")


def said_to(veto: Veto, command: bytes) -> bytes:
    """The refusal of a command, by its first word; empty if the server would execute it anyway."""
    if veto in (Veto.NOAUTH, *ENDS_CONNECTIONS):
        return SAID[veto]
    passes = _ALWAYS | _WITHOUT_KEYS if veto in _OF_A_CLUSTER else _ALWAYS
    return b"" if command in passes else SAID[veto]


class Vetoing:
    """Makes a real server refuse for a while. Refusals may overlap, and each lasts until its own end."""

    def __init__(self, connect: Callable[[float | None], redis.Redis], folder: Path) -> None:
        """`connect` makes a client with a time-out in seconds; the server keeps its data in `folder`."""
        self._connect, self._folder = connect, folder
        self._active: Counter[Veto] = Counter()
        self._turn = threading.Lock()
        self._script: threading.Thread | None = None

    def begin(self, veto: Veto) -> None:
        """Make the server refuse from now on, as soon as it can be reached."""
        with self._turn:
            self._active[veto] += 1
            with contextlib.suppress(TimeoutError):
                self._apply(_BEGIN_WAIT_S)

    def end(self, veto: Veto) -> None:
        """Make it serve again. Raises TimeoutError if it cannot be reached."""
        with self._turn:
            self._active[veto] -= 1
            self._apply(_END_WAIT_S)

    def _apply(self, wait_s: float) -> None:
        """Repeat the call until the server accepts it: the server may be stopped, killed or busy."""
        until = time.monotonic() + wait_s
        while True:
            try:
                with self._connect(1.0) as client:
                    self._tell(client, {veto for veto, number in self._active.items() if number > 0})
                return
            except (RedisError, OSError):
                if time.monotonic() > until:
                    raise TimeoutError(f"the server cannot be told: {dict(self._active)}") from None
                time.sleep(0.02)

    def _tell(self, client: redis.Redis, active: set[Veto]) -> None:
        self._free(client)
        for words in settings(active):
            client.execute_command(*words)
        if Veto.MISCONF in active:
            self._fail_to_save(client)
        follows = client.info("replication")["role"] == "slave"
        if (wanted := bool(active & {Veto.READONLY, Veto.MASTERDOWN})) != follows:
            client.execute_command("REPLICAOF", *(_NOWHERE if wanted else ("NO", "ONE")))
        if Veto.BUSY in active:
            self._script = threading.Thread(target=self._keep_busy, daemon=True)
            self._script.start()

    def _free(self, client: redis.Redis) -> None:
        """End our long script."""
        if self._script is not None:
            with contextlib.suppress(redis.ResponseError):
                client.script_kill()
            self._script.join(1.0)
            self._script = self._script if self._script.is_alive() else None

    def _keep_busy(self) -> None:
        with contextlib.suppress(RedisError, OSError), self._connect(None) as client:
            client.eval(_LONG_SCRIPT, 0)

    def _fail_to_save(self, client: redis.Redis) -> None:
        """Make a save fail. From then on the server refuses writes, as long as it is configured to save."""
        if client.info("persistence")["rdb_last_bgsave_status"] == "err":
            return
        in_the_way = self._folder / "dump.rdb"
        in_the_way.unlink(missing_ok=True)
        in_the_way.mkdir()
        try:
            client.bgsave()
            until = time.monotonic() + 1.0
            while client.info("persistence")["rdb_bgsave_in_progress"] and time.monotonic() < until:
                time.sleep(0.005)
        finally:
            in_the_way.rmdir()


def settings(active: set[Veto]) -> Sequence[tuple[str, ...]]:
    """The commands after which a server gives exactly the `active` refusals."""
    return (
        ("CONFIG", "SET", "lua-time-limit", "1" if Veto.BUSY in active else "5000"),
        ("CONFIG", "SET", "maxmemory", "1" if Veto.OOM in active else "0"),
        ("CONFIG", "SET", "min-replicas-to-write", "1" if Veto.NOREPLICAS in active else "0"),
        ("CONFIG", "SET", "save", "3600 1" if Veto.MISCONF in active else ""),
        ("CONFIG", "SET", "replica-serve-stale-data", "no" if Veto.MASTERDOWN in active else "yes"),
        ("ACL", "SETUSER", "default", *(("-evalsha", "-eval") if Veto.NOPERM in active else ("+@all",))),
    )

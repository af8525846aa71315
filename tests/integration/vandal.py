"""A vandal that overwrites a cluster's keys in Redis with garbage, drawn from a seed."""

import base64
import random
import zlib
from typing import Any

import redis

from eccmgr.redis.keys import Keys
from eccmgr.redis.kinds import kind_of

_DEEP = b"[" * 100_000
_HUGE = 8 << 20
_FLOOD = 3000
GARBAGE = (
    *(
        b"",
        b"junk",
        b"\xff\xfe\x00",
        b"nan",
        b"NaN",
        b"inf",
        b"-1",
        b"1e999",
        b"0x1",
        b"9" * 15,
        b"9" * 30,
        b"9" * 5000,
    ),
    *(b"0-0", b"18446744073709551615-18446744073709551615", b"99999999999999999999-0"),
    *(
        b"\t\t\t\t",
        b"#ec0-1-a#b\tb\tc\tnan\t",
        b"#ec0-1-a#b\ta\nb\tc\t1\t",
        b"\t1e9\t-1\t\t",
        b"x\t9999999999999999\t1\t\t",
    ),
    *(
        b"{}",
        b"[]",
        b"null",
        b'{"id": NaN}',
        _DEEP,
        b'{"id": ' * 50_000,
        b'{"every": NaN, "id": "x", "text": "", "user": ""}',
    ),
    *(b'{"id": "x", "text": "pid", "user": "u", "cron": "x y", "zone": "Nowhere"}', b'{"started": Infinity}'),
    *(
        b"x" * _HUGE,
        b"9" * _HUGE,
        b"\t" * _HUGE,
        b'{"id": "' + b"x" * _HUGE + b'"}',
        b"[" * _HUGE,
        b"10.9.0.1 " * 100_000,
    ),
    *(
        base64.b85encode(zlib.compress(_DEEP)),
        base64.b85encode(zlib.compress(b"\0" * (64 << 20))),
        zlib.compress(_DEEP),
    ),
    *(
        b"1 #ec0-1-a#b " + zlib.compress(b"\0" * (64 << 20)),
        b"ok\t#ec0-1-a#b\t1\t1\tz\n" + zlib.compress(b"\0" * (64 << 20)),
    ),
    *(b"\x1b[2J\x1b]0;x\x07", "east1: ok\u2028west1: ok\x85".encode(), b"\x00\x01\x02", b"a b\tc d\te f\t1\t"),
    *(b"name\nwith: a line\r\nbreak", "zä\u202ename".encode(), b"ok\t#ec0-1-a#b\t1\t1\tz\nnot compressed"),
)
NAMES = (
    b"zz",
    b"",
    b"\xff",
    b"a\nb",
    b"@zz",
    b"!zz",
    b"~zz",
    b"@a1",
    b"10.9.0.99",
    b"#ec0-1-a#zz",
    b"#mgr-1-a#zz",
    b"x" * 300,
    b"9" * 5000,
    b"west1: ok",
    b"\x1b[2J",
    "a\u2028b".encode(),
    b"fe80::1%x",
    b"@" + b"9" * 5000,
)
_RQ_KINDS = {
    "list": ("queue",),
    "zset": ("wip", "finished", "failed", "canceled"),
    "set": ("workers", "queues"),
    "hash": ("job", "worker"),
}
SCORES = (0.0, -1.0, 1.5, 1e15, 1e300, float("inf"), float("-inf"))


class Vandal:
    """Changes a cluster's data, one value or key at a time; `done` describes each change."""

    def __init__(self, client: "redis.Redis", keys: Keys, seed: int) -> None:
        self._client: Any = client
        self._keys = keys
        self._random = random.Random(seed)
        self.done: list[str] = []
        self._strikes = 0

    @property
    def struck(self) -> int:
        """The number of strikes that it has made."""
        return self._strikes

    def strike(self) -> None:
        """Make a change that no program of ours would make."""
        self._strikes += 1
        key = self._random.choice(self._known_keys())
        write = (self._overwrite, self._add)
        what = self._random.choice((self._another_kind, self._flood, *write, *write, *write))
        garbage = self._random.choice(GARBAGE)
        self.done.append(f"{what.__name__} {key} {garbage[:40]!r}")
        try:
            what(key, garbage)
        except (redis.ResponseError, IndexError) as error:
            # The site may empty the key at the same moment.
            self.done[-1] += f": {error}"

    def publish(self) -> None:
        """Publish garbage on one of the cluster's channels."""
        keys, garbage = self._keys, self._random.choice(GARBAGE)
        own = (keys.everyone, keys.events, keys.vip_events, keys.node("a1"), keys.subcluster("default"))
        heard = [name.decode() for name in self._client.pubsub_channels(f"{keys.tag}*")]
        channel = self._random.choice([*own, *(name for name in heard if name not in own)])
        self.done.append(f"publish {channel} {garbage[:40]!r}")
        self._client.publish(channel, garbage)

    def _flood(self, key: str, _garbage: bytes) -> None:
        kind, small = self._kind(key), [each for each in GARBAGE if len(each) < 100]
        with self._client.pipeline(transaction=False) as pipeline:
            for number in range(_FLOOD):
                garbage, name = small[number % len(small)], b"%s%d" % (NAMES[number % 12], number)
                _put(pipeline, kind, key, name, garbage, float(number))
            pipeline.execute(raise_on_error=False)
        if self._client.ttl(key) == -1 and ":sched:" not in key:
            self._client.expire(key, 600)

    def _known_keys(self) -> list[str]:
        keys = self._keys
        found = {key.decode() for key in self._client.scan_iter(f"{keys.tag}*", count=1000)}
        found |= {
            *(keys.state, keys.members, keys.sessions, keys.seniority, keys.roster, keys.subclusters, keys.absent),
            *(keys.absent_since, keys.vips, keys.vip_changes, keys.vip_beliefs, keys.late, keys.log, keys.heads),
            *(keys.latest, keys.audit, keys.schedules(""), keys.schedules_due(""), keys.schedules_running("")),
            *(keys.schedules_past(""), keys.vip_holds, keys.jobs),
        }
        rq = f"{keys.rq_prefix}:"
        found |= {f"{rq}{name}:a1" for name in ("queue", "wip", "finished", "failed", "canceled", "workers")}
        return sorted(found | {f"{rq}queue:a1:intermediate", f"{rq}workers", f"{rq}queues"})

    def _kind(self, key: str) -> str:
        for kind, names in _RQ_KINDS.items():
            if ":rq:" in key and key.split(":rq:")[1].split(":")[0] in names:
                return kind
        return kind_of(key) or str(self._client.type(key).decode())

    def _another_kind(self, key: str, garbage: bytes) -> None:
        self._client.delete(key)
        kinds = [kind for kind in ("string", "hash", "list", "zset", "set") if kind != self._kind(key)]
        self._write(self._random.choice(kinds), key, b"zz", garbage)
        self._client.expire(key, 600)

    def _overwrite(self, key: str, garbage: bytes) -> None:
        pick, client = self._random.choice, self._client
        kind = client.type(key).decode()
        if kind == "hash":
            client.hset(key, pick(sorted(client.hkeys(key))), garbage)
        elif kind == "zset":
            client.zadd(key, {pick(client.zrange(key, 0, -1)): pick(SCORES)})
        elif kind == "set":
            client.sadd(key, garbage)
        elif kind == "list":
            client.lset(key, pick(range(client.llen(key))), garbage)
        elif kind == "string":
            client.set(key, garbage, keepttl=True)
        elif kind == "stream":
            self._write("stream", key, b"*", garbage)

    def _add(self, key: str, garbage: bytes) -> None:
        self._write(self._kind(key), key, self._random.choice(NAMES), garbage)
        if self._client.ttl(key) == -1 and ":sched:" not in key:
            self._client.expire(key, 600)

    def _write(self, kind: str, key: str, name: bytes, garbage: bytes) -> None:
        client, pick = self._client, self._random.choice
        if kind == "hash":
            client.hset(key, name, garbage)
        elif kind == "zset":
            client.zadd(key, {name: pick(SCORES)})
        elif kind == "set":
            client.sadd(key, garbage)
        elif kind == "list":
            client.lpush(key, garbage)
        elif kind == "stream":
            fields = {"id": garbage, "digest": garbage, "issued": garbage, "channel": self._keys.everyone}
            entry = pick(("*", "*", "18446744073709551615-18446744073709551615"))
            client.xadd(key, dict(list(fields.items())[: pick((1, 3, 4))]), entry)
        elif kind == "string":
            client.set(key, garbage)


def _put(pipeline: Any, kind: str, key: str, name: bytes, garbage: bytes, score: float) -> None:
    if kind == "hash":
        pipeline.hset(key, name, garbage)
    elif kind == "zset":
        pipeline.zadd(key, {name: score})
    elif kind == "set":
        pipeline.sadd(key, name)
    elif kind == "list":
        pipeline.rpush(key, garbage)
    elif kind == "stream":
        pipeline.xadd(key, {"id": garbage, "channel": name})

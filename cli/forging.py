"""The signed demonstration: its keys, and somebody who writes into Redis to make nodes run a command or to answer for
them."""

import datetime as dt
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import redis

from eccmgr.access.certificates import certify
from eccmgr.access.keys import PublicKey, SigningKey, write_key_files
from eccmgr.redis.keys import Keys

_DAYS = 7
_TIMEOUT_S = 10.0
_CLUSTER = "ec_cluster"
_ID = "0F0RGEDC0MMD"


class DemonstrationKeys:
    """The keys of a manager, of an authority and of nodes, as files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._until = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=_DAYS)
        self._authority, _ = self._made("authority")
        self.manager, self._manager_file = self._made("demo")

    def manager_flags(self) -> tuple[str, ...]:
        """The flags of a manager that signs, and believes only certified nodes."""
        authority = str(self._authority.public)
        return "--signing-key", str(self._manager_file), "--node-authority", authority

    def node_flags(self, name: str, subcluster: str) -> tuple[str, ...]:
        """Make the key and the certificate of a node; answers the flags of this node, which trusts the manager."""
        key, private = self._made(name)
        end_ms = int(dt.datetime.combine(self._until, dt.time(), dt.UTC).timestamp() * 1000)
        certificate = self._folder / f"{name}.crt"
        certificate.write_text(certify(self._authority, _CLUSTER, key.public, subcluster, end_ms).line)
        trusted = str(self.manager.public)
        return "--signing-key", str(private), "--certificate", str(certificate), "--trusted-manager", trusted

    @property
    def public_lines(self) -> tuple[PublicKey, PublicKey]:
        """The public keys of the manager and of the authority."""
        return self.manager.public, self._authority.public

    def _made(self, name: str) -> tuple[SigningKey, Path]:
        key = SigningKey(os.urandom(32), name, self._until)
        private, _ = write_key_files(self._folder, key)
        return key, private


@dataclass(frozen=True)
class Forger:
    """Somebody who holds the Redis at `socket`, but no key."""

    socket: Path

    @property
    def channel(self) -> str:
        """The channel of the commands to every node."""
        return Keys(_CLUSTER).everyone

    def message(self, text: str) -> str:
        """A command to every node, as managers publish them, but unsigned."""
        place = {"channel": self.channel, "entry": "1-1", "before": "0-0"}
        return json.dumps({"id": _ID, "text": text, "issuer": "root", "view": 10**9, "ttl": 60_000, **place})

    def send(self, text: str) -> str:
        """Send a command to every node, past the manager; answers what was done, as redis-cli shows it."""
        message = self.message(text)
        with redis.Redis(unix_socket_path=str(self.socket)) as server:
            heard = server.publish(self.channel, message)
        return f"redis> PUBLISH {self.channel} '{message}'\n(integer) {heard}"

    def answer_for(self, node: str, command_id: str, text: str) -> str:
        """Put `text` into the answer of a node; answers what was done, as redis-cli shows it."""
        key = Keys(_CLUSTER).responses(command_id)
        with redis.Redis(unix_socket_path=str(self.socket)) as server:
            kept = server.hget(key, node)
            assert isinstance(kept, bytes)
            head, _, _ = kept.rpartition(b"\n")
            server.hset(key, node, head + b"\n" + text.encode())
        return f"redis> HSET {key} {node} '… {text}'\n(integer) 0"


def refusal_in(log: Path) -> str:
    """The latest line of a node's log about a command that it does not believe; "" if it writes none in time."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not (lines := re.findall(rf"^.*{_ID} reason.*$", log.read_text(), re.MULTILINE)):
        if time.monotonic() > deadline:
            return ""
        time.sleep(0.02)
    return str(lines[-1])

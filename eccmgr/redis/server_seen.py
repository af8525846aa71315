"""A Redis server as a link sees it."""

from collections.abc import Mapping
from typing import NamedTuple


class ServerSeen(NamedTuple):
    """Its version, its mode, its address, and the time of a round trip."""

    version: str
    mode: str
    address: str
    round_trip_ms: float

    @classmethod
    def of(cls, info: Mapping[str, str], mode: str, address: str, round_trip_ms: float) -> "ServerSeen":
        """The server that says `info` of itself."""
        version = info.get("valkey_version") or info.get("redis_version", "unknown version")
        return cls(f"{'Valkey ' if 'valkey_version' in info else ''}{version}", mode, address, round_trip_ms)

    @staticmethod
    def fields(text: object) -> dict[str, str]:
        """The fields of an answer to INFO."""
        lines = text.decode(errors="replace").splitlines() if isinstance(text, bytes) else ()
        return {name: value for name, _, value in (line.partition(":") for line in lines)}

    def __str__(self) -> str:
        return f"{self.version} {self.mode} {self.address}, round trip {self.round_trip_ms:.2f} ms"

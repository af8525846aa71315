"""The settings of a process, such as the URL of Redis: from flags, else `ECCMGR_*` variables, else defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from eccmgr.errors import SettingsError

DEFAULT_REDIS = "redis://127.0.0.1:6379/0"


def _lines(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(filter(None, map(str.strip, value.replace(",", "\n").splitlines())))


class DaemonSettings(BaseSettings):
    """The settings of managers and nodes. `cluster`, `name` and `subcluster`, if given, win over the files."""

    model_config = SettingsConfigDict(env_prefix="ECCMGR_", extra="ignore")

    redis: str = DEFAULT_REDIS
    cluster: str | None = None
    name: str | None = None
    config: str | None = None
    verbose: int = 0
    debug: bool = False
    listen: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_manager: Annotated[tuple[str, ...], NoDecode] = ()
    """The public keys of managers, each a line; they add to those of the files."""
    signing_key: str | None = None
    """The file of the key with which it signs; it wins over the one of the configuration."""

    @field_validator("listen", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Split `ECCMGR_LISTEN`, which may hold several endpoints, at commas and white space."""
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("trusted_manager", mode="before")
    @classmethod
    def _split_lines(cls, value: Any) -> Any:
        """Split `ECCMGR_TRUSTED_MANAGER`, which may hold several keys, at commas and line breaks."""
        return _lines(value)


class ManagerSettings(DaemonSettings):
    """A manager's settings."""

    node_authority: Annotated[tuple[str, ...], NoDecode] = ()
    """The public keys of the authorities that certify nodes, each a line; they add to those of the files."""

    @field_validator("node_authority", mode="before")
    @classmethod
    def _split_authorities(cls, value: Any) -> Any:
        return _lines(value)


class NodeSettings(DaemonSettings):
    """A node's settings."""

    certificate: str | None = None
    """The file of the node's certificate; it wins over the one of the configuration."""
    subcluster: str | None = None
    replace: bool = False
    redis_copies: Annotated[int, Field(ge=0, le=9)] = 0
    """The number of copies of Redis, the master and its replicas. With 0, the sentinels know the number.

    A write about VIPs counts once a majority of the copies has it."""


S = TypeVar("S", bound=DaemonSettings)


def load(kind: type[S], flags: Mapping[str, Any]) -> S:
    """Load the settings of `kind`. A flag that is not None wins over the environment.

    Raises SettingsError, whose one line names the flag or variable.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return kind(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]) if fault["loc"] else "?"
        where = f"--{name}" if name in given else f"ECCMGR_{name.upper()}"
        raise SettingsError(f"{where}: {fault['msg']} (was '{fault['input']}')") from None

"""The settings of a process, such as the URL of Redis: from flags, else `ECCMGR_*` variables, else defaults."""

import os
import stat
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from eccmgr.errors import SettingsError
from eccmgr.host.log_lines import LogFormat
from eccmgr.redis.password import with_password, with_sentinel_password

DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
_PASSWORD_MAX = 4096


def _lines(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(filter(None, map(str.strip, value.replace(",", "\n").splitlines())))


class DaemonSettings(BaseSettings):
    """The settings of managers and nodes. `cluster`, `name` and `subcluster`, if given, win over the files."""

    model_config = SettingsConfigDict(env_prefix="ECCMGR_", extra="ignore")

    redis: Annotated[str, Field(repr=False)] = DEFAULT_REDIS
    redis_password_file: str | None = None
    """The file with the password for `redis`; the URL itself then has no password."""
    sentinel_password_file: str | None = None
    """The file with the password of the sentinels in `redis`."""
    cluster: str | None = None
    name: str | None = None
    config: str | None = None
    verbose: int = 0
    log_format: LogFormat = LogFormat.LOGFMT
    """The form of events on standard error."""
    debug: bool = False
    listen: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_manager: Annotated[tuple[str, ...], NoDecode] = ()
    """The public keys of managers, each a line; they add to those of the files."""
    signing_key: str | None = None
    """The file of the key with which it signs; it wins over the one of the configuration."""
    http: str | None = None
    """Where pages, metrics and health are served over HTTP; it wins over `Http_Listener`."""
    http_prefix: str | None = None
    """The path under which a proxy serves the pages."""

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
    tag: Annotated[tuple[str, ...], NoDecode] = ()
    """The node's tags, each like `role=mta`; if there are any, they take the place of those in the files."""
    replace: bool = False
    redis_copies: Annotated[int, Field(ge=0, le=9)] = 0
    """The number of copies of Redis, the master and its replicas. With 0, the sentinels know the number.

    A write about VIPs counts once a majority of the copies has it."""

    @field_validator("tag", mode="before")
    @classmethod
    def _split_tags(cls, value: Any) -> Any:
        """Split `ECCMGR_TAG`, which may hold several tags, at commas and white space."""
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


S = TypeVar("S", bound=DaemonSettings)


def load(
    kind: type[S],
    flags: Mapping[str, Any],
    revealed: Callable[[str], str] = lambda url: url,
    password_in: "Callable[[str], str] | None" = None,
) -> S:
    """Load the settings of `kind`. A flag that is not None wins over the environment.

    `redis` is then the whole URL: the one that is `revealed`, with the passwords of the files, which `password_in`
    reads. Raises SettingsError, whose one line names the flag or variable.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = kind(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]) if fault["loc"] else "?"
        where = f"--{name.replace('_', '-')}" if name in given else f"ECCMGR_{name.upper()}"
        raise SettingsError(f"{where}: {fault['msg']} (was '{fault['input']}')") from None
    url, read = revealed(settings.redis), password_in or read_password
    if settings.redis_password_file is not None:
        url = with_password(url, read(settings.redis_password_file))
    if settings.sentinel_password_file is not None:
        url = with_sentinel_password(url, read(settings.sentinel_password_file))
    return settings.model_copy(update={"redis": url})


def read_password(path: str) -> str:
    """The password in a file of one line. Raises SettingsError, whose text repeats nothing of the file."""
    try:
        # With this flag, a pipe without a writer is refused below; otherwise this would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = file.read(_PASSWORD_MAX + 2) if is_regular else b""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is no path"
        raise SettingsError(f"The file of Redis's password, {path!r}, cannot be read: {reason}") from None
    text = data.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if not is_regular:
        fault = "is not a regular file"
    elif not text:
        fault = "is empty"
    elif len(data) > _PASSWORD_MAX:
        fault = f"is longer than {_PASSWORD_MAX} bytes"
    elif not text.isprintable() or "\ufffd" in text:
        fault = "must be one line of UTF-8 without control characters"
    else:
        return text
    raise SettingsError(f"The file of Redis's password, {path!r}, {fault}")

"""The password of Redis is not shown: no URL that a program prints or hands on has it."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.errors import SettingsError
from eccmgr.redis.address import RedisAddress
from eccmgr.redis.password import masked, with_password, with_sentinel_password
from eccmgr.settings import ManagerSettings, NodeSettings, load, read_password

pytestmark = pytest.mark.usefixtures("environment")
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4).map(lambda text: f"S3cr{text}t")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:pw@h:1/0", "redis://u:***@h:1/0"),
        ("redis://:p%40w@h", "redis://:***@h"),
        ("unix://:pw@/run/redis?db=1", "unix://:***@/run/redis?db=1"),
        (
            "rediss+sentinel://u:pw@a:1,b:2/s/0?sentinel_username=x&sentinel_password=pw2",
            "rediss+sentinel://u:***@a:1,b:2/s/0?sentinel_username=x&sentinel_password=***",
        ),
        ("redis://h?password=pw", "redis://h?password=***"),
        ("redis://h?pass%77ord=pw", "redis://h?pass%77ord=***"),
        ("redis://:p?w@h", "redis://***?***@h"),
        ("redis://u:***@h", "redis://u:***@h"),
        ("redis://u@h", "redis://u@h"),
        ("redis://h:1/0", "redis://h:1/0"),
        ("east1", "east1"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown


@given(
    SECRETS, st.sampled_from(["redis://u:{}@h", "redis://:{}@h:1/0?db=2", "redis+sentinel://h/s?sentinel_password={}"])
)
def test_no_password_is_shown_however_it_is_written(secret: str, form: str) -> None:
    for written in (secret, quote(secret, safe="")):
        assert "S3cr" not in masked(form.format(written))


@given(
    SECRETS, st.sampled_from(["redis://u:{}@h", "redis://:{}@h:1:2", "redis:/:{}@h", "{}", "x://:{}@h", "redis://{}"])
)
def test_no_fault_of_a_url_repeats_a_password(secret: str, form: str) -> None:
    assert "S3cr" not in fault_of(form.format(secret))


def fault_of(url: str) -> str:
    """What is said of a URL that makes no sense; '' of another."""
    try:
        RedisAddress.parse(url)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("redis://h:1/0", "redis://:p%40w%2F@h:1/0"),
        ("redis://u@h", "redis://u:p%40w%2F@h"),
        ("redis://u:@h?db=1", "redis://u:p%40w%2F@h?db=1"),
        ("unix:///run/redis", "unix://:p%40w%2F@/run/redis"),
        ("redis+sentinel://u@a,b/s?sentinel_username=x", "redis+sentinel://u:p%40w%2F@a,b/s?sentinel_username=x"),
        ("redis+sentinel://u@a/s?sentinel_password=q", "redis+sentinel://u:p%40w%2F@a/s?sentinel_password=q"),
    ],
)
def test_a_password_is_put_into_a_url(url: str, whole: str) -> None:
    assert with_password(url, "p@w/") == whole
    assert RedisAddress.parse(whole).access.password == "p@w/"


def test_two_passwords_are_refused() -> None:
    for url in ("redis://u:S3cr3t@h", "redis://h?password=S3cr3t", "redis+sentinel://u:S3cr3t@h/s?sentinel_password=q"):
        with pytest.raises(SettingsError, match="use one of them"):
            with_password(url, "other")
    with pytest.raises(SettingsError, match="a file with one is named too"):
        with_sentinel_password("redis+sentinel://a/s?sentinel_passw%6frd=S3cr3t", "other")


def test_sentinels_have_a_password_of_their_own(folder: Path) -> None:
    (folder / "pw").write_text("d@ta\n")
    (folder / "spw").write_text("s&ntinel\n")
    files = {"redis_password_file": str(folder / "pw"), "sentinel_password_file": str(folder / "spw")}
    settings = load(ManagerSettings, {"redis": "redis+sentinel://u@a,b/s?sentinel_username=x", **files})
    address = RedisAddress.parse(settings.redis)
    assert (address.access.username, address.access.password) == ("u", "d@ta")
    sentinels = [sentinel.access for sentinel in address.sentinels()]
    assert [(access.username, access.password) for access in sentinels] == [("x", "s&ntinel")] * 2
    assert "ntinel" not in masked(settings.redis).partition("://")[2].replace("sentinel_", "")
    with pytest.raises(SettingsError, match="names no sentinels"):
        load(ManagerSettings, {"redis": "redis://h", **files})


def test_settings_have_the_password_of_the_file(folder: Path, environment: pytest.MonkeyPatch) -> None:
    (folder / "pw").write_text("S3cr3t\n")
    assert (
        load(ManagerSettings, {"redis_password_file": str(folder / "pw")}).redis == "redis://:S3cr3t@127.0.0.1:6379/0"
    )
    environment.setenv("ECCMGR_REDIS_PASSWORD_FILE", str(folder / "pw"))
    environment.setenv("ECCMGR_REDIS", "redis://u@h")
    settings = load(NodeSettings, {})
    assert settings.redis == "redis://u:S3cr3t@h"
    assert "S3cr3t" not in repr(settings)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"S3cr\nt\n", "must be one line"),
        (b"S3cr\0", "must be one line"),
        (b"S3cr\xff", "must be one line of UTF-8"),
        (b"S3cr" * 2000, "is longer than 4096 bytes"),
    ],
)
def test_a_file_without_a_password_says_why(folder: Path, data: bytes, said: str) -> None:
    (folder / "pw").write_bytes(data)
    with pytest.raises(SettingsError, match=said) as refused:
        read_password(str(folder / "pw"))
    assert "S3cr" not in str(refused.value)


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for path, said in (("pipe", "is not a regular file"), ("none", "cannot be read: No such file"), ("", "cannot be")):
        with pytest.raises(SettingsError, match=said):
            read_password(str(folder / path))
    with pytest.raises(SettingsError, match="that is no path"):
        read_password("a\0b")

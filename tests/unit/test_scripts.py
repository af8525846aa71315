"""The scripts as a plain server and as a Redis Cluster want them."""

from importlib import resources

import pytest

from eccmgr.redis.scripts import script

NAMES = sorted(file.name.removesuffix(".lua") for file in (resources.files("eccmgr.redis") / "lua").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_message_is_sent_by_the_command_that_the_deployment_has(name: str) -> None:
    plain, sharded = script(name), script(name, sharded=True)
    assert plain.source.replace("local PUBLISH = 'PUBLISH'", "local PUBLISH = 'SPUBLISH'", 1) == sharded.source
    assert plain.sha != sharded.sha
    assert "redis.call('PUBLISH'" not in plain.source

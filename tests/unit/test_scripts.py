"""The scripts in the forms for a plain server and for a Redis Cluster."""

import pytest

from eccmgr.redis.scripts import names, script


@pytest.mark.parametrize("name", names())
def test_message_is_sent_by_the_deployments_command(name: str) -> None:
    plain, sharded = script(name), script(name, sharded=True)
    assert plain.source.replace("local PUBLISH = 'PUBLISH'", "local PUBLISH = 'SPUBLISH'", 1) == sharded.source
    assert plain.sha != sharded.sha
    assert "redis.call('PUBLISH'" not in plain.source

"""The register of nodes: its nodes are expected, whatever Redis says; a certificate that is not in it is revoked."""

from pathlib import Path

import pytest

from tests.integration.fleet import Fleet
from tests.integration.test_sealed_answers import Keyring

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


@pytest.fixture
def keyring(fleet: Fleet) -> Keyring:
    return Keyring(fleet.folder / "keyring", fleet.cluster)


def registered(keyring: Keyring) -> str:
    """The configuration of a manager that reads the certificates of `keyring` as its register."""
    return f'{keyring.manager}cluster {{ node_certificates = "{keyring.folder}" }}\n'


async def reload(fleet: Fleet) -> None:
    answer = await fleet.ask("config reload")
    assert answer.startswith("Reconfigured"), answer


async def test_registered_node_that_redis_lost_is_absent(fleet: Fleet, keyring: Keyring) -> None:
    configurations = {name: keyring.node(name) for name in ("east1", "east2", "east3")}
    manager = await fleet.manager(configuration=registered(keyring))
    for name in ("east1", "east2"):
        await fleet.node(name, configuration=configurations[name])
    await manager.link.call("HDEL", manager.keys.absent, "east3")
    answer = await fleet.ask("gather mark")
    assert ", 1 absent" in answer.splitlines()[0]
    assert answer.splitlines()[1:] == ["east1: marked", "east2: marked", "east3: (absent, never seen)"]
    assert (await fleet.lines(f"retrieve {answer.split()[1]}"))[2] == "east3: (absent, never seen)"
    assert (await fleet.lines("gather east[1-3] mark"))[2] == "east3: (absent, never seen)"
    assert (await fleet.lines("gather --batch 1 mark"))[2] == "east3: (absent, never seen)"
    assert "absent" in await fleet.ask("unicast east3 mark")
    assert "1 absent" in await fleet.ask("broadcast mark")
    assert "Register of nodes: 3 nodes" in await fleet.ask("info")
    assert "take it out of the folder node_certificates" in await fleet.ask("forget east3")
    (keyring.folder / "east3.crt").unlink()
    await reload(fleet)
    assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked"]


async def test_certificate_out_of_the_register_is_revoked(fleet: Fleet, keyring: Keyring) -> None:
    configurations = {name: keyring.node(name) for name in ("east1", "east2")}
    await fleet.manager(configuration=registered(keyring))
    for name, configuration in configurations.items():
        await fleet.node(name, configuration=configuration)
    assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked"]
    (keyring.folder / "east2.crt").unlink()
    await reload(fleet)
    assert await fleet.lines("gather mark") == [
        "east1: marked",
        "east2: failed: not authentic: its certificate is not in the register of nodes",
    ]
    said = await fleet.ask("info")
    assert "Unknown: east2 (its certificate is not in the register of nodes)" in said, said


async def test_faulty_file_of_the_register_is_named(fleet: Fleet, keyring: Keyring) -> None:
    keyring.node("east1", cluster="elsewhere")
    (keyring.folder / "east2.crt").write_text("junk")
    (keyring.folder / "east3.crt").symlink_to("/dev/zero")
    await fleet.manager(configuration=registered(keyring))
    said = await fleet.ask("info")
    assert "Register of nodes: 0 nodes" in said
    assert f"{keyring.folder}/east1.crt: it is for the cluster 'elsewhere', not for '{fleet.cluster}'" in said
    assert f"{keyring.folder}/east2.crt: a certificate is written as certificate:" in said
    assert f"{keyring.folder}/east3.crt: it is not a regular file" in said


async def test_register_that_cannot_be_read_is_refused(fleet: Fleet, keyring: Keyring) -> None:
    manager = await fleet.manager(configuration=registered(keyring))
    assert manager.store.main is not None
    Path(manager.store.main).write_text('cluster { node_certificates = "/nowhere" }\n')
    answer = await fleet.ask("config reload")
    assert "the folder /nowhere cannot be read: No such file or directory" in answer
    assert "Register of nodes: 0 nodes" in await fleet.ask("info")

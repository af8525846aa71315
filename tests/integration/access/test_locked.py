"""What decides who may do what changes by no command, even of a caller who may run every command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import ask_sync
from tests.integration.access.guarded import Guarded
from tests.listeners import Client

OPTIONS = (
    'cluster trusted_managers ( "ed25519:AAAA m until 2099-01-01" )',
    'cluster node_authorities ( "ed25519:AAAA m until 2099-01-01" )',
    "cluster signing_key /tmp/key",
    'Authorization Role "root" allow ( ".*" )',
    "Security User root",
    "Control_Listener Enable_Authorization false",
    'Control_Listener Listen "/tmp/squat" Enable_Authorization false',
    'exec "x" commands [ run = "/bin/sh" ]',
    'exec "ok" user root',
    "Local_Changes_File /etc/cron.d/x",
    "Local_Changes_Only true",
    "ec_logger mainlog /etc/cron.d/x",
    "ec_logger acctlog /dev/null",
    "cluster plumber exec",
    "cluster plumber_program /bin/sh",
    "cluster fence none",
    'cluster Topology "0.0.0.0/0" interface lo',
    'ecelerity "x" control /tmp/squat',
    'sieve "x" script_dir /tmp',
    # Other spellings of the same options.
    'CLUSTER TRUSTED_MANAGERS ( "ed25519:AAAA m until 2099-01-01" )',
    '"cluster" "trusted_managers" ( "ed25519:AAAA m until 2099-01-01" )',
    'cluster trusted\\_managers ( "ed25519:AAAA m until 2099-01-01" )',
    'clus"ter" trusted_man"agers" = ( "ed25519:AAAA m until 2099-01-01" )',
    'security "user" = "root"',
    'exec ok commands [ run = "/bin/sh" ]',
    'Exec "ok" Commands [ touch = "/bin/sh" ]',
    'authorization role root Allow = ( ".*" )',
)
ELSEWHERE: dict[str, Callable[[Path], str]] = {
    "reload of another file": lambda _: "config reload /etc/shadow",
    "reload by ..": lambda folder: f"config reload {folder}/../../etc/shadow",
    "reload by /proc": lambda _: "config reload /proc/self/root/etc/shadow",
    "reload of a device": lambda _: "config reload /dev/zero",
    "reload by a link": lambda folder: f"config reload {folder}/link",
    "writeback to another file": lambda _: "config writeback /etc/passwd --force",
    "writeback by ..": lambda folder: f"config writeback {folder}/../../etc/passwd --force",
    "writeback by /proc": lambda _: "config writeback /proc/self/root/etc/passwd --force",
    "writeback by a link": lambda folder: f"config writeback {folder}/link --force",
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("carrier", ["", "gather ", "gather east1 xml "])
def test_locked_option_is_not_set(guarded: Guarded, carrier: str, option: str) -> None:
    before = ask_sync(guarded.node.endpoint, "config showrecurse"), guarded.administer("config showrecurse")
    answer = guarded.administer(f"{carrier}config set {option}")
    assert "locked" in answer or "Unknown" in answer, answer
    assert (ask_sync(guarded.node.endpoint, "config showrecurse"), guarded.administer("config showrecurse")) == before
    guarded.check_alive()


@pytest.mark.parametrize("elsewhere", ELSEWHERE.values(), ids=ELSEWHERE.keys())
@pytest.mark.parametrize("carrier", ["", "gather "])
def test_no_file_elsewhere_is_read_or_written(guarded: Guarded, carrier: str, elsewhere: Callable[[Path], str]) -> None:
    link = guarded.folder / "link"
    if not link.is_symlink():
        link.symlink_to("/etc/shadow")
    before = [Path(file).stat() for file in ("/etc/passwd", "/etc/shadow")]
    answer = guarded.administer(f"{carrier}{elsewhere(guarded.folder)}")
    assert "root:" not in answer
    assert "Reconfigured" not in answer
    assert "Wrote" not in answer
    after = [Path(file).stat() for file in ("/etc/passwd", "/etc/shadow")]
    assert [(file.st_ino, file.st_mtime_ns) for file in after] == [(file.st_ino, file.st_mtime_ns) for file in before]
    guarded.check_alive()


@pytest.mark.asyncio
@pytest.mark.parametrize("option", OPTIONS)
async def test_transaction_from_scratch_sets_nothing_locked(guarded: Guarded, option: str) -> None:
    async with await Client.open(guarded.manager.endpoint) as client:
        assert "scratch" in await client.ask("config begin from scratch")
        answer = await client.ask(f"config set {option}")
        assert "locked" in answer or "Unknown" in answer, answer
        assert "exec" in await client.ask("config showrecurse")
        await client.ask("config rollback")

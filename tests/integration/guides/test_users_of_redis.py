"""The guide to users of Redis, typed as it stands: a manager and a node then work with what it has made."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import ROOT, Processes, ask_sync
from tests.servers import Server
from tests.waiting import wait_until_sync


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    """A server whose users are in a file, which is empty."""
    (folder / "users.acl").touch()
    made = Server(folder / "server", f"aclfile {folder}/users.acl").start()
    yield made
    made.stop()


@pytest.mark.skipif(not all(map(shutil.which, ("redis-cli", "openssl"))), reason="redis-cli and openssl are needed")
def test_users_of_the_guide_suffice_for_a_cluster(server: Server, folder: Path, nothing_left: None) -> None:
    page = (ROOT / "docs" / "redis.md").read_text(encoding="utf-8")
    block = page.partition("```sh\n")[2].partition("```")[0]
    mine = block.replace("/etc/redis/", f"{folder}/").replace("redis-cli", f"redis-cli -p {server.port}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = ["bash", "-ec", mine]
    done = subprocess.run(shell, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, check=True)
    assert done.stdout == b"OK\n"
    processes = Processes("", "mail", folder)
    try:
        for program, name, user in (("eccmgr", "barca", "eccmgr+mail"), ("ecnode", "east1", "ecnode+mail+east1")):
            url = re.findall(rf"`(redis://{re.escape(user)}@)HOST/0`", page)[0] + f"{server.address}/0"
            password = folder / f"{'managers' if program == 'eccmgr' else name}.password"
            flags = ("--redis", url, "--redis-password-file", str(password))
            processes.start(program, name, *flags, *(("--subcluster", "east") if program == "ecnode" else ()))
        manager = processes.started[0].endpoint
        wait_until_sync(lambda: "1 of 1 answered" in ask_sync(manager, "gather pid"), "the node answers the manager")
    finally:
        processes.end()

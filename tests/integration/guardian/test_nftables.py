"""The fence's two transactions on a real kernel, without a guardian around them."""

import os
import subprocess
import sys

import pytest

from tests.integration.guardian.conftest import Host

TRY = """
import sys, time
from worker.guardian.fence import NftablesFence, Refused
from worker.guardian.interfaces import Interfaces
fence = NftablesFence()
fence.build(["10.1.1.1"], [(each.index, each.name) for each in Interfaces().links() if not each.loopback])
def tried(act, *arguments):
    try:
        act(*arguments)
        return "taken"
    except Refused:
        return "refused"
"""


def said(host: Host, text: str) -> list[str]:
    command = ["ip", "netns", "exec", host.name, sys.executable, "-S", "-c", TRY + text]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fence.arm(); print(tried(fence.open, 60))", ["taken"]),
        ("print(tried(fence.open, 60))", ["refused"]),
        ("fence.arm(); time.sleep(0.05); print(tried(fence.open, 60))", ["refused"]),
        ("fence.arm(); fence.open(60); print(tried(fence.open, 60))", ["refused"]),
        ("fence.arm(); time.sleep(0.05); fence.arm(); print(tried(fence.open, 60))", ["taken"]),
        ("fence.arm(); fence.close(); print(tried(fence.open, 60))", ["refused"]),
    ],
    ids=["with a token", "without one", "with an expired one", "with a used one", "with a new one", "after a close"],
)
def test_the_fence_opens_only_while_its_token_lives(host: Host, text: str, expected: list[str]) -> None:
    assert said(host, text) == expected


def test_refused_renewal_leaves_the_fence_unchanged(host: Host) -> None:
    said(host, "fence.arm(); fence.open(60); fence.arm(); time.sleep(0.05); tried(fence.open, 5000)")
    assert "timeout 1m" in host.run("nft", "list", "set", "netdev", "eccmgr_duravip", "open")


def test_a_table_that_is_built_again_is_closed(host: Host) -> None:
    said(host, "fence.arm(); fence.open(60); fence.build(['10.1.1.1'], [])")
    assert "timeout 1m" not in host.run("nft", "list", "set", "netdev", "eccmgr_duravip", "open")


def test_only_changes_by_another_are_seen(host: Host) -> None:
    text = """
fence.arm(); fence.open(60); fence.cover(["10.1.1.2"]); fence.close(); fence.hook([])
print(fence.touched())
import subprocess
subprocess.run(["nft", "add element netdev eccmgr_duravip v4 { 10.1.1.3 }"], check=True)
print(fence.touched(), fence.touched())
"""
    assert said(host, text) == ["False", "True", "False"]


def test_what_nft_refuses_is_said_in_its_words(host: Host) -> None:
    text = """
from worker.guardian.nft import Rules
try:
    Rules().run("add rule netdev nowhere a drop")
except OSError as error:
    print("said" if "No such file" in str(error) else error)
"""
    assert said(host, text) == ["said"]

"""The store makes one change at a time: a change is proposed, accepted and carried out, or given up."""

import asyncio

import pytest

from eccmgr.config.live.parts import NOTHING, Prepared, opened_in_thread
from eccmgr.config.live.store import Proposal, Store
from eccmgr.config.live.transaction import ConfigSession, Typed
from eccmgr.config.syntax.changes import Action, Change
from eccmgr.config.syntax.values import Text
from eccmgr.errors import CommandError
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_tasks_left")]


def change_of(store: Store, option: str) -> asyncio.Task[None]:
    """A change that sets an option."""
    change = Change(Action.SET, (), option, Text("1"))
    return asyncio.create_task(store.change(ConfigSession(), "u", change, Typed("", "")))


class Follower:
    """Prepares for changes as soon as it may go on."""

    def __init__(self) -> None:
        self.asked, self.may_go_on, self.given_up = asyncio.Event(), asyncio.Event(), False

    async def __call__(self, _proposal: Proposal) -> Prepared:
        self.asked.set()
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.given_up = True
            raise
        return NOTHING


async def test_a_change_ends_though_its_caller_is_gone() -> None:
    store, follower = Store.open(None), Follower()
    store.on_change = follower
    caller = change_of(store, "x")
    await follower.asked.wait()
    caller.cancel()
    await asyncio.wait((caller,))
    assert "x" not in store.live.options
    follower.may_go_on.set()
    await wait_until(lambda: "x" in store.live.options, "the change holds")


async def test_who_waits_in_vain_changes_nothing() -> None:
    store, follower = Store.open(None), Follower()
    store.on_change = follower
    first, second = change_of(store, "x"), change_of(store, "y")
    await follower.asked.wait()
    second.cancel()
    await asyncio.wait((second,))
    follower.may_go_on.set()
    await first
    await change_of(store, "z")
    assert [*store.live.options] == ["x", "z"]


async def test_an_end_gives_up_what_is_being_prepared() -> None:
    store, follower = Store.open(None), Follower()
    store.on_change = follower
    first, second = change_of(store, "x"), change_of(store, "y")
    await follower.asked.wait()
    await store.refuse(CommandError("it ends"))
    for caller in (first, second, change_of(store, "z")):
        with pytest.raises(CommandError, match="end"):
            await caller
    assert follower.given_up
    assert not store.live.options


async def test_what_opens_too_late_is_taken_back() -> None:
    loop, taken = asyncio.get_running_loop(), asyncio.Event()
    begun, may_open = asyncio.Event(), asyncio.Event()

    def work() -> str:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(may_open.wait(), loop).result()
        return "a file"

    opening = asyncio.create_task(opened_in_thread(work, lambda _file: taken.set()))
    await begun.wait()
    opening.cancel()
    await asyncio.wait((opening,))
    assert opening.cancelled()
    may_open.set()
    await taken.wait()

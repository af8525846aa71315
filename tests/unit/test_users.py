"""The names of users are believed for a minute, and a database that hangs delays nobody but its user."""

import asyncio
import threading

import pytest

from eccmgr.control.users import KEPT_S, LOOKING_MAX, UserNames
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio


class Database:
    """A database of users that hangs for some of them, and a clock."""

    def __init__(self) -> None:
        self.names = {0: "root", 7: "tom"}
        self.now = 0.0
        self.hanging: set[int] = set()
        self.asked = 0
        self.answers = threading.Event()

    def look_up(self, uid: int) -> str:
        self.asked += 1
        if uid in self.hanging:
            self.answers.wait(30)
        return self.names.get(uid, "")


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def users(database: Database) -> UserNames:
    return UserNames(database.look_up, lambda: database.now, patience_s=0.05)


async def test_a_name_is_asked_once_a_minute(database: Database, users: UserNames) -> None:
    assert users.known(7) is None
    assert [await users.name_of(7) for _ in range(3)] == ["tom"] * 3
    assert (users.known(7), database.asked) == ("tom", 1)
    database.now = KEPT_S
    assert users.known(7) is None
    assert (await users.name_of(7), database.asked) == ("tom", 2)


async def test_a_deleted_users_name_is_forgotten(database: Database, users: UserNames) -> None:
    await users.name_of(7)
    del database.names[7]
    database.now = KEPT_S
    assert await users.name_of(7) == "uid 7"


async def test_a_reused_uid_has_the_new_name(database: Database, users: UserNames) -> None:
    await users.name_of(7)
    database.names[7] = "ann"
    database.now = KEPT_S
    assert await users.name_of(7) == "ann"


async def test_a_hanging_look_up_delays_nobody_else(database: Database, users: UserNames) -> None:
    database.hanging = {8}
    hanging = asyncio.create_task(users.name_of(8))
    await wait_until(lambda: database.asked == 1, "the look-up hangs")
    assert await users.name_of(7) == "tom"
    assert await hanging == "uid 8"
    database.now = 1.0
    assert await users.name_of(8) == "uid 8"
    database.names[8] = "late"
    database.answers.set()
    await wait_until(lambda: users.known(8) == "late", "the look-up ends")


async def test_hanging_look_ups_are_bounded_but_roots(database: Database, users: UserNames) -> None:
    database.hanging = set(range(1000, 1000 + LOOKING_MAX))
    names = await asyncio.gather(*map(users.name_of, database.hanging))
    assert names == [f"uid {uid}" for uid in database.hanging]
    assert await users.name_of(7) == "uid 7"
    assert await users.name_of(0) == "root"
    database.answers.set()
    await wait_until(lambda: users.known(1000) is not None, "the look-ups end")
    assert await users.name_of(7) == "tom"


@pytest.mark.parametrize("name", ["scram:tom", "a,b", "a\nb", ""])
async def test_a_name_of_another_kind_is_none(database: Database, users: UserNames, name: str) -> None:
    database.names[7] = name
    assert await users.name_of(7) == "uid 7"


async def test_an_abandoned_look_up_is_begun_anew(database: Database, users: UserNames) -> None:
    database.hanging = {7}
    assert await users.name_of(7) == "uid 7"
    database.hanging, database.now = set(), KEPT_S
    assert await users.name_of(7) == "tom"
    database.answers.set()

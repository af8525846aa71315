"""A server moves: all connections follow it, and none stays behind."""

import asyncio
from dataclasses import replace

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from eccmgr.redis.place import Place, SeekingConnection, Spot

OLD, NEW = Spot("h", 1, 1), Spot("h", 2, 2)


class Asked:
    """Answers each search when the test says so."""

    def __init__(self) -> None:
        self.searches: list[asyncio.Future[Spot]] = []

    async def seek(self) -> Spot:
        self.searches.append(asyncio.get_running_loop().create_future())
        return await self.searches[-1]

    async def check(self, connection: AbstractConnection) -> None:
        pass

    async def aclose(self) -> None:
        pass


async def _find(place: Place, asked: Asked, *answers: Spot) -> list[Spot]:
    """Begin a search for each of `answers`, and answer them in the order of their epochs, the latest first."""
    tasks = [asyncio.create_task(place.find(SeekingConnection(place))) for _ in answers]
    await asyncio.sleep(0)
    for search, answer in sorted(zip(asked.searches[-len(answers) :], answers, strict=True), key=lambda a: -a[1].epoch):
        search.set_result(answer)
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks)


@pytest.mark.asyncio
async def test_a_move_is_told_once() -> None:
    asked, told = Asked(), []
    place = Place(asked)
    place.on_move = told.append
    assert await _find(place, asked, OLD) == [OLD]
    assert await _find(place, asked, NEW, NEW) == [NEW, NEW]
    assert (told, place.moves) == ([NEW], 1)


@pytest.mark.asyncio
async def test_late_old_answer_does_not_lead_back() -> None:
    asked = Asked()
    place = Place(asked)
    await _find(place, asked, OLD)
    assert await _find(place, asked, OLD, NEW) == [NEW, NEW]
    assert place.moves == 1


@pytest.mark.asyncio
async def test_sentinels_may_begin_to_count_anew() -> None:
    asked = Asked()
    place = Place(asked)
    await _find(place, asked, NEW)
    assert await _find(place, asked, OLD) == [OLD]


@pytest.mark.asyncio
async def test_connection_made_during_a_move_is_refused() -> None:
    asked = Asked()
    place = Place(asked)
    connection = SeekingConnection(place)
    connection.spot = OLD
    await _find(place, asked, NEW)
    with pytest.raises(RedisConnectionError, match="moved meanwhile"):
        await place.check(connection)


@pytest.mark.asyncio
async def test_another_look_finds_an_unnoticed_move() -> None:
    asked, told = Asked(), []
    place = Place(asked)
    place.on_move = told.append
    await _find(place, asked, OLD)
    looking = asyncio.create_task(place.look())
    await asyncio.sleep(0)
    asked.searches[-1].set_result(NEW)
    await looking
    assert (place.spot, told) == (NEW, [NEW])


@pytest.mark.asyncio
async def test_a_copy_that_was_added_is_no_move() -> None:
    asked, told = Asked(), []
    place = Place(asked)
    place.on_move = told.append
    await _find(place, asked, OLD)
    await _find(place, asked, replace(OLD, copies=3))
    assert place.spot is not None
    assert (place.spot.copies, told) == (3, [])

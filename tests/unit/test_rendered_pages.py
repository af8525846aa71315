"""Pages that many readers follow are rendered once for each change."""

import asyncio

import pytest

from eccmgr.web import rendered
from eccmgr.web.rendered import RenderedPage, RenderedPages

pytestmark = pytest.mark.asyncio


class Drawing:
    """Renders a page, if it may, and counts how often."""

    def __init__(self) -> None:
        self.marks: object = 1
        self.settled = True
        self.times = 0
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self) -> RenderedPage:
        self.times += 1
        number = self.times
        await self.may.wait()
        return RenderedPage(200, f"page {number}".encode(), settled=self.settled)

    async def got(self, pages: RenderedPages, key: str = "a") -> bytes:
        page, _ = await pages.get(key, lambda: self.marks, self)
        return page.text


async def test_page_is_rendered_once_for_a_change() -> None:
    pages, drawing = RenderedPages(), Drawing()
    assert await asyncio.gather(*(drawing.got(pages) for _ in range(100))) == [b"page 1"] * 100
    drawing.marks = 2
    assert await asyncio.gather(*(drawing.got(pages) for _ in range(100))) == [b"page 2"] * 100


async def test_change_while_rendering_is_rendered_too() -> None:
    pages, drawing = RenderedPages(), Drawing()
    drawing.may.clear()
    early = asyncio.create_task(drawing.got(pages))
    while not drawing.times:
        await asyncio.sleep(0)
    drawing.marks = 2
    late = asyncio.create_task(drawing.got(pages))
    drawing.may.set()
    assert (await early, await late) == (b"page 1", b"page 2")


async def test_page_that_nobody_follows_is_never_kept() -> None:
    pages, drawing = RenderedPages(), Drawing()
    drawing.marks = None
    assert [await drawing.got(pages) for _ in range(3)] == [b"page 1", b"page 2", b"page 3"]


async def test_unsettled_page_is_soon_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendered, "UNSETTLED_S", 0.0)
    pages, drawing = RenderedPages(), Drawing()
    drawing.settled = False
    assert await drawing.got(pages) == b"page 1"
    drawing.settled = True
    assert [await drawing.got(pages) for _ in range(3)] == [b"page 2"] * 3


async def test_callers_get_pages_of_their_own() -> None:
    pages, drawing = RenderedPages(), Drawing()
    assert await drawing.got(pages, "ann") == b"page 1"
    assert await drawing.got(pages, "bob") == b"page 2"


async def test_failed_rendering_is_tried_again() -> None:
    pages, drawing = RenderedPages(), Drawing()

    async def fail() -> RenderedPage:
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        await pages.get("a", lambda: 1, fail)
    assert await drawing.got(pages) == b"page 1"

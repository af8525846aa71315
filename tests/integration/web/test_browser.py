"""The pages in a real Chromium: live, by keyboard, in both themes, without JavaScript, and without asking elsewhere."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
import redis

from eccmgr.redis.keys import Keys
from tests.daemons import ROOT, Processes, ask_sync
from tests.integration.scripts.cluster import Cluster
from tests.vips import ONE_VIP

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.timeout(300),
]
playwright = pytest.importorskip("playwright.async_api")


@dataclass
class Visit:
    """A page in a browser, with everything that it said and asked for."""

    page: "playwright.Page"
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def see(self, text: str, selector: str = "main") -> None:
        """Wait until the page shows `text`, without loading it anew."""
        await playwright.expect(self.page.locator(selector)).to_contain_text(text, timeout=60_000)


@pytest_asyncio.fixture
async def browser() -> AsyncIterator["playwright.Browser"]:
    async with playwright.async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        await opened.close()


@pytest.fixture
def url(processes: Processes, folder: Path) -> str:
    """A manager with pages, and two nodes of which one carries 10.1.1.1."""
    (folder / "node.conf").write_text(ONE_VIP)
    manager = processes.manager("barca", "--http", "127.0.0.1:0")
    for name in ("east1", "east2"):
        processes.node(name, "east", "-c", str(folder / "node.conf"))
    found = re.search(r"url=(\S+)", manager.log)
    assert found is not None
    return found[1]


async def keep(seen: Visit, name: str) -> None:
    """Write docs/pictures/NAME.png, if the environment says `PICTURES=1`; a usual run of the tests changes no file."""
    if os.environ.get("PICTURES"):
        await seen.page.set_viewport_size({"width": 1000, "height": 640})
        await seen.page.screenshot(path=ROOT / f"docs/pictures/{name}.png")


async def tab_to(seen: Visit, condition: str) -> None:
    """Press Tab until the focused element fits a condition of JavaScript."""
    for _ in range(40):
        await seen.page.keyboard.press("Tab")
        if await seen.page.evaluate(f"(() => {{ const e = document.activeElement; return {condition} }})()"):
            return
    raise AssertionError(f"Tab does not lead to {condition}")


async def visit(browser: "playwright.Browser", url: str, **context: object) -> Visit:
    opened = await browser.new_page(**context)
    made = Visit(opened)
    opened.on("console", lambda message: made.said.append(message.text))
    opened.on("pageerror", lambda error: made.said.append(str(error)))
    opened.on("request", lambda request: made.asked.append(request.url))
    await opened.goto(url)
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_death_and_move_show_without_reloading(
    browser: "playwright.Browser", processes: Processes, url: str, theme: str
) -> None:
    manager, east1, east2 = processes.started
    seen = await visit(browser, url, color_scheme=theme)
    await seen.see("All well", "h1")
    await seen.see("10.1.1.1")
    owner = await seen.page.locator("main table tr", has_text="10.1.1.1").first.locator("td").nth(2).inner_text()
    other = "east2" if owner == "east1" else "east1"
    answer = ask_sync(manager.endpoint, f"unicast {owner} cluster duravip move 10.1.1.1 to {other}")
    assert answer.startswith("Sent"), answer
    row = seen.page.locator("main table tr", has_text="10.1.1.1").first.locator("td").nth(2)
    await playwright.expect(row).to_have_text(other, timeout=60_000)
    ask_sync(manager.endpoint, "gather pid")
    await seen.see("2 of 2")
    await keep(seen, f"web-{theme}")
    (east1 if other == "east2" else east2).popen.kill()
    await seen.see("In trouble", "h1")
    await seen.see(f"Absent or unknown: {owner}")
    dark = "rgb(20, 23, 26)"
    colour = await seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == dark) is (theme == "dark")
    assert seen.said == []
    assert {address.split("/")[2] for address in seen.asked} == {url.split("/")[2]}


async def test_pages_are_read_without_javascript(browser: "playwright.Browser", url: str) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(url)
    for title in ("Nodes", "Addresses", "Commands", "Jobs", "Schedules", "Events", "Configuration", "Overview"):
        await page.locator("nav a", has_text=title).click()
        await playwright.expect(page.locator("nav a[aria-current=page]")).to_have_text(title)
        assert await page.locator("main").inner_text()


async def test_nodes_are_filtered_by_keyboard_alone(browser: "playwright.Browser", url: str) -> None:
    seen = await visit(browser, f"{url}nodes")
    await seen.see("east2")
    for _ in range(30):
        await seen.page.keyboard.press("Tab")
        if await seen.page.evaluate("document.activeElement.name === 'q'"):
            break
    await seen.page.keyboard.type("!east2")
    await seen.page.keyboard.press("Enter")
    await playwright.expect(seen.page.locator("main")).not_to_contain_text("east2", timeout=30_000)
    await seen.see("east1")
    assert "q=%21east2" in seen.page.url
    assert seen.said == []


async def test_groups_of_a_gather_are_shown(browser: "playwright.Browser", processes: Processes, url: str) -> None:
    manager = processes.started[0]
    sent = ask_sync(manager.endpoint, "gather cluster nodename").split()[1]
    seen = await visit(browser, f"{url}commands/{sent}")
    await seen.see("2 of 2 answered")
    await playwright.expect(seen.page.locator("svg.chart")).to_have_count(1)
    await seen.page.locator("a", has_text="Nodes").last.click()
    await seen.see("east1")
    assert seen.said == []


async def test_thousand_nodes_are_paged_by_keyboard(
    browser: "playwright.Browser", processes: Processes, url: str
) -> None:
    with redis.Redis.from_url(processes.url) as client:
        cluster = Cluster(client, Keys(processes.cluster), lease_ms=3_600_000)
        for number in range(1000):
            cluster.join(f"mta{number}", "mass")
    seen = await visit(browser, f"{url}nodes?sub=mass")
    await seen.see("1000 of 1000 nodes")
    await tab_to(seen, "e.rel === 'next'")
    await seen.page.keyboard.press("Enter")
    await seen.see("Page 2 of 5")
    assert "page=2" in seen.page.url
    assert await seen.page.locator("tbody tr").count() == 200
    await tab_to(seen, "e.name === 'q'")
    await seen.page.keyboard.type("mta77")
    await seen.page.keyboard.press("Enter")
    await seen.see("11 of 1000 nodes")
    await tab_to(seen, "e.textContent === 'mta770'")
    await seen.page.keyboard.press("Enter")
    await playwright.expect(seen.page.locator("h1")).to_have_text("mta770", timeout=30_000)
    assert seen.said == []


async def test_bar_of_a_gather_moves_while_it_runs(
    browser: "playwright.Browser", processes: Processes, url: str
) -> None:
    manager, east1, _ = processes.started
    east1.popen.send_signal(signal.SIGSTOP)
    try:
        sending = asyncio.create_task(asyncio.to_thread(ask_sync, manager.endpoint, "gather --timeout 120 @all pid"))
        seen = await visit(browser, f"{url}commands")
        bar = seen.page.locator("main table tr", has_text="pid").first.locator("progress")
        await playwright.expect(bar).to_have_js_property("value", 1, timeout=60_000)
        await playwright.expect(bar).to_have_js_property("max", 2)
    finally:
        east1.popen.send_signal(signal.SIGCONT)
    await sending
    assert seen.said == []


async def test_page_of_an_address_shows_the_plan(browser: "playwright.Browser", url: str) -> None:
    seen = await visit(browser, f"{url}vips/10.1.1.1")
    await seen.see("Would go to")
    plan = seen.page.locator("h2", has_text="If ").locator("+ table")
    await playwright.expect(plan).to_contain_text(re.compile(r"10.1.1.1\s*east[12]"), timeout=60_000)
    await playwright.expect(seen.page.locator("figure", has_text="Who held it").locator("rect")).not_to_have_count(0)
    assert seen.said == []

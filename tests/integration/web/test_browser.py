"""The pages in a real Chromium: live, by keyboard, in both themes, without JavaScript, and without asking elsewhere."""

import asyncio
import os
import re
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
import redis

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.conftest import make_folder
from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.integration.scripts.cluster import Cluster
from tests.vips import ONE_VIP
from tests.waiting import wait_until_sync

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
NODES = ("east1", "east2")
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
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

    async def miss(self, text: str, selector: str = "main") -> None:
        """Wait until the page no longer shows `text`, without loading it anew."""
        await playwright.expect(self.page.locator(selector)).not_to_contain_text(text, timeout=60_000)


@dataclass
class ShownSite:
    """A manager with pages at `url`, and two nodes of which one carries 10.1.1.1."""

    processes: Processes
    manager: Process
    url: str
    nodes: dict[str, Process] = field(default_factory=dict)

    def ask(self, command: str) -> str:
        """The manager's answer."""
        return ask_sync(self.manager.endpoint, command)

    def start_nodes(self) -> None:
        """Start the nodes that do not run, and wait until one carries the address and another one can."""
        configuration = self.processes.folder / "node.conf"
        configuration.write_text(ONE_VIP)
        for name in NODES:
            if name not in self.nodes or self.nodes[name].popen.poll() is not None:
                flags = ("--subcluster", "east", "-c", str(configuration))
                self.nodes[name] = self.processes.start("ecnode", name, *flags, wait=False)
        for node in self.nodes.values():
            node.wait_ready()
        wait_until_sync(
            lambda: "died:\n  10.1.1.1 to east" in self.ask("vips 10.1.1.1"), "both nodes can carry it", 120
        )

    @property
    def owner(self) -> str:
        """The node that carries the address."""
        found = re.search(r"\b(east[12])\b", self.ask("vips").splitlines()[1])
        assert found is not None
        return found[1]

    @property
    def other(self) -> str:
        """The node that does not carry it."""
        return NODES[self.owner == NODES[0]]


def manager_of(processes: Processes) -> ShownSite:
    """A manager with pages."""
    manager = processes.manager("barca", "--http", "127.0.0.1:0")
    found = re.search(r"url=(\S+)", manager.log)
    assert found is not None
    return ShownSite(processes, manager, found[1])


@pytest.fixture(autouse=True, scope="module")
def _nothing_left(redis_server: EmbeddedServer) -> Iterator[None]:
    """Fails the tests here together if they leave processes: a browser has some that come and go."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) - before == set()


@pytest.fixture(scope="module")
def site(_nothing_left: None, redis_server: EmbeddedServer) -> Iterator[ShownSite]:
    """One site for the tests here. A test that ends a node starts it again."""
    with make_folder() as folder:
        processes = Processes(redis_server.url, "mail", folder)
        try:
            made = manager_of(processes)
            made.start_nodes()
            yield made
        finally:
            processes.end()
            with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
                if left := list(client.scan_iter(match=f"{Keys('mail').tag}*", count=1000)):
                    client.unlink(*left)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(_nothing_left: None) -> AsyncIterator["playwright.Browser"]:
    async with playwright.async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(chromium: "playwright.Browser") -> AsyncIterator["playwright.Browser"]:
    """The browser; its pages are closed after the test."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


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
    browser: "playwright.Browser", site: ShownSite, theme: str
) -> None:
    seen = await visit(browser, site.url, color_scheme=theme)
    await seen.see("All well", "h1")
    owner, other = site.owner, site.other
    row = seen.page.locator("main table tr", has_text="10.1.1.1").first.locator("td").nth(2)
    await playwright.expect(row).to_have_text(owner, timeout=60_000)
    answer = site.ask(f"unicast {owner} cluster duravip move 10.1.1.1 to {other}")
    assert answer.startswith("Sent"), answer
    await playwright.expect(row).to_have_text(other, timeout=60_000)
    site.ask("gather pid")
    await seen.see("2 of 2")
    await keep(seen, f"web-{theme}")
    try:
        site.nodes[owner].popen.kill()
        await seen.see("In trouble", "h1")
        await seen.see(f"Absent or unknown: {owner}")
        if theme == "dark":
            await keep(seen, "web-trouble")
    finally:
        site.nodes[owner].popen.wait()
        await asyncio.to_thread(site.start_nodes)
    await seen.see("All well", "h1")
    dark = "rgb(20, 23, 26)"
    colour = await seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == dark) is (theme == "dark")
    assert seen.said == []
    assert {address.split("/")[2] for address in seen.asked} == {site.url.split("/")[2]}


async def test_pages_are_read_without_javascript(browser: "playwright.Browser", site: ShownSite) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(site.url)
    for title in ("Nodes", "Addresses", "Commands", "Jobs", "Schedules", "Events", "Configuration", "Overview"):
        await page.locator("nav a", has_text=title).click()
        await playwright.expect(page.locator("nav a[aria-current=page]")).to_have_text(title)
        assert await page.locator("main").inner_text()


async def test_nodes_are_filtered_by_keyboard_alone(browser: "playwright.Browser", site: ShownSite) -> None:
    seen = await visit(browser, f"{site.url}nodes")
    await seen.see("east2")
    await tab_to(seen, "e.name === 'q'")
    await seen.page.keyboard.type("!east2")
    await seen.page.keyboard.press("Enter")
    await seen.miss("east2")
    await seen.see("east1")
    assert "q=%21east2" in seen.page.url
    assert seen.said == []


async def test_groups_of_a_gather_are_shown(browser: "playwright.Browser", site: ShownSite) -> None:
    sent = site.ask("gather cluster nodename").split()[1]
    seen = await visit(browser, f"{site.url}commands/{sent}")
    await seen.see("2 of 2 answered")
    await playwright.expect(seen.page.locator("svg.chart")).to_have_count(1)
    await keep(seen, "web-gather")
    await seen.page.locator(".views a", has_text="Differences").click()
    await seen.see("The reference is the answer of most nodes")
    await seen.page.locator(".views a", has_text="Nodes").click()
    await seen.see("east1")
    assert seen.said == []


async def test_thousand_nodes_are_paged_by_keyboard(
    browser: "playwright.Browser", redis_server: EmbeddedServer, folder: Path
) -> None:
    processes = Processes(redis_server.url, f"t{uuid.uuid4().hex[:12]}", folder)
    try:
        large = manager_of(processes)
        with redis.Redis.from_url(processes.url) as client:
            cluster = Cluster(client, Keys(processes.cluster), lease_ms=3_600_000)
            for number in range(1000):
                cluster.join(f"mta{number}", "mass")
        seen = await visit(browser, f"{large.url}nodes?sub=mass")
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
        await playwright.expect(seen.page.locator("h1")).to_have_text("mta770", timeout=60_000)
        assert seen.said == []
    finally:
        processes.end()
        with redis.Redis.from_url(processes.url) as client:
            client.unlink(*client.scan_iter(match=f"*{processes.cluster}*", count=1000))


async def test_bar_of_a_gather_moves_while_it_runs(browser: "playwright.Browser", site: ShownSite) -> None:
    east1 = site.nodes["east1"].popen
    east1.send_signal(signal.SIGSTOP)
    try:
        sending = asyncio.create_task(asyncio.to_thread(site.ask, "gather --timeout 120 @all pid"))
        seen = await visit(browser, f"{site.url}commands")
        bar = seen.page.locator("main table tr", has_text="@all").first.locator("progress")
        await playwright.expect(bar).to_have_js_property("value", 1, timeout=60_000)
        await playwright.expect(bar).to_have_js_property("max", 2)
    finally:
        east1.send_signal(signal.SIGCONT)
    await sending
    await asyncio.to_thread(site.start_nodes)
    assert seen.said == []


async def test_page_of_an_address_shows_the_plan(browser: "playwright.Browser", site: ShownSite) -> None:
    seen = await visit(browser, f"{site.url}vips/10.1.1.1")
    await seen.see("Would go to")
    plan = seen.page.locator("h2", has_text="If ").locator("+ .table")
    await playwright.expect(plan).to_contain_text(re.compile(r"10.1.1.1\s*east[12]"), timeout=60_000)
    await playwright.expect(seen.page.locator("figure", has_text="Who held it").locator("rect")).not_to_have_count(0)
    await keep(seen, "web-address")
    assert seen.said == []


async def test_page_of_an_address_follows_the_nodes(browser: "playwright.Browser", site: ShownSite) -> None:
    seen = await visit(browser, f"{site.url}vips/10.1.1.1")
    other = site.other
    site.ask(f"unicast {other} cluster duravip drain {other}")
    await seen.see("drained")
    site.ask(f"unicast {other} cluster duravip undrain {other}")
    await seen.miss("drained")
    owner, other = site.owner, site.other
    site.ask(f"unicast {owner} cluster duravip move 10.1.1.1 to {other}")
    await seen.see(f"{other} for")
    await seen.see("All believe what Redis has on record")
    await playwright.expect(seen.page.locator("td", has_text=f"owned,safe by {other}")).to_have_count(2)
    assert seen.said == []


async def test_change_before_the_first_news_is_shown(browser: "playwright.Browser", site: ShownSite) -> None:
    change = asyncio.Event()
    page = await browser.new_page()

    async def hold(route: "playwright.Route") -> None:
        await change.wait()
        await route.continue_()

    await page.route("**/events?*", hold)
    await page.goto(f"{site.url}config")
    site.ask("config set cluster results_ttl 4711")
    change.set()
    await playwright.expect(page.locator("main")).to_contain_text("4711", timeout=60_000)
    site.ask("config set cluster results_ttl 4712")
    await playwright.expect(page.locator("main")).to_contain_text("4712", timeout=60_000)


async def test_page_without_news_says_so(browser: "playwright.Browser", folder: Path) -> None:
    with EmbeddedServer(folder / "redis") as server:
        processes = Processes(server.url, "silent", folder)
        try:
            seen = await visit(browser, manager_of(processes).url)
            await seen.miss("no news", "#asof")
            os.kill(server.pid, signal.SIGSTOP)
            await seen.see("no news", "#asof")
            os.kill(server.pid, signal.SIGCONT)
            await seen.miss("no news", "#asof")
        finally:
            os.kill(server.pid, signal.SIGCONT)
            processes.end()


async def test_filter_in_use_survives_a_change(browser: "playwright.Browser", site: ShownSite) -> None:
    seen = await visit(browser, f"{site.url}commands")
    await tab_to(seen, "e.name === 'q'")
    await seen.page.keyboard.type("uptime")
    site.ask("gather version")
    await seen.see("version")
    await seen.page.keyboard.type("x")
    assert await seen.page.locator("input[name=q]").input_value() == "uptimex"
    assert seen.said == []

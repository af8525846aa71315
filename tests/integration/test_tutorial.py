"""The tutorial, typed as it stands: each of its transcripts is what the demonstration answers.

`TRANSCRIPTS=1` writes the answers into the page, and makes its picture anew where there is a Chromium.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.daemons import ROOT
from tests.screens import PICTURES, Terminal
from tests.transcripts import WRITES, Step, alike, steps, with_answers
from tests.waiting import wait_until_sync

PAGE = ROOT / "docs" / "tutorial.md"
NEWCOMER = "newcomer"


class Reader:
    """Follows the page on a terminal with the demonstration, and in a shell beside it."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        terminal.wait_for("manager>")
        terminal.wait_prompt()
        found = re.search(r"live: (\S+)", terminal.text)
        self.url = found[1] if found else ""
        self.endpoint = re.findall(r"\S+/manager(?=>)", terminal.text)[-1]

    def type(self, step: Step) -> Step:
        """Type the line of a step as this run needs it; return what was typed, and its answer."""
        line = step.line
        if step.prompt.startswith("$"):
            return self._shell(line)
        answer = self.terminal.say(line).split("\n")
        prompt = re.findall(rf"(\S+ \S+> ){re.escape(line)}", self.terminal.text)[-1]
        if line.split()[0] in ("info", "retrieve", "vips", "why"):
            # What has just changed is told a moment later; a reader is slower than this.
            for _ in range(0 if WRITES else 10):
                if alike(answer, NEWCOMER) == alike(step.answer, NEWCOMER):
                    break
                answer = self.terminal.say(line).split("\n")
        return Step(prompt, line, answer)

    def place_addresses(self) -> None:
        """Have the addresses where the page has them: at first that depends on which node comes first."""
        wait_until_sync(lambda: self.terminal.say("vips").count("owned,safe") == 2, "the addresses have owners")
        held = self.terminal.say("vips")
        for address, owner in (("10.1.1.1", "west1"), ("10.1.1.2", "west2")):
            if not re.search(rf"{address} .* {owner} ", held):
                # Not to east3, whose history is on the page.
                self.terminal.say(f"gather east[1-2],@west cluster duravip move {address} to {owner}")

    def _shell(self, line: str) -> Step:
        if line.startswith("kill"):
            line = f"kill -9 {re.findall(r'east3: ([0-9]+)', self.terminal.text)[-1]}"
        line = re.sub(r"/tmp/\S+/manager", self.endpoint, line)
        command = line.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        ran = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        return Step("$ ", line, ran.stdout.splitlines() + ran.stderr.splitlines())


def check_page(url: str) -> None:
    """The page of the manager is there; its picture is kept if the environment asks for it."""
    if not url:
        return
    with urlopen(url, timeout=30) as opened:
        text = opened.read().decode()
    assert "east1" in text
    assert "10.1.1.1" in text
    if WRITES and (chromium := shutil.which("chromium")):
        sync_api = pytest.importorskip("playwright.sync_api")
        with sync_api.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1000, "height": 760})
            page.goto(url)
            page.get_by_text("10.1.1.1").first.wait_for()
            page.screenshot(path=PICTURES / "web.png")
            browser.close()


@pytest.mark.timeout(300)
def test_tutorial_shows_what_a_reader_sees(nothing_left: None) -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = []
    terminal = Terminal([sys.executable, "-m", "cli.demo"], columns=150)
    try:
        reader = Reader(terminal)
        reader.place_addresses()
        for step in steps(page):
            written.append(reader.type(step))
            if not WRITES:
                assert alike(written[-1].answer, NEWCOMER) == alike(step.answer, NEWCOMER), step.line
        check_page(reader.url)
    finally:
        terminal.type("quit\r")
        assert terminal.end() == 0
    if WRITES:
        PAGE.write_text(with_answers(page, written, NEWCOMER), encoding="utf-8")

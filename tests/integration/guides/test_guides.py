"""The guides, typed as they stand at a small site: each of their transcripts is what a reader sees.

`TRANSCRIPTS=1` writes the answers into the pages.
"""

from collections.abc import Iterator

import pytest

from eccmgr.redis.embedded import EmbeddedServer
from tests.conftest import make_folder
from tests.daemons import ROOT, Processes
from tests.integration.guides.reader import USER, GuideReader, GuideSite
from tests.transcripts import WRITES, alike, steps, with_answers

NOT_TYPED = {
    "bridge.md": (),
    "console.md": ("gather @east&role:mta!ea█", "gather @west reopen logs"),
    "duravip.md": ("cluster duravip plan", "vips 10.1.1.1"),
    "embedding.md": (),
    "jobs.md": ("RQ_KEY_PREFIX='{ecc:ec_cluster}:rq' rq info --url redis://127.0.0.1:6379/0",),
    "logs.md": (),
    "modules.md": (),
    "operations.md": (
        "gather --batch 1 --max-failures 0 --timeout 600 exec:nginx reload",
        "ec_console --timeout 2 gather exec:nginx reload",
        "gather @west shutdown",
        "events 4",
    ),
    "replacing.md": (
        "eccmgr --redis redis://redis.example.com:6379/0 -c /etc/eccmgr/eccluster.conf --listen /tmp/2026",
    ),
    "rolling.md": (),
    "schedules.md": (),
}
"""The guides, each with the lines that need another site or moment: hundreds of nodes, a broken connection, a node that
does not answer yet, a node without rights, an absent node, a disk that is full, a line that is not sent yet."""


@pytest.fixture(scope="module")
def site() -> Iterator[GuideSite]:
    with make_folder() as folder, EmbeddedServer(folder / "redis") as server:
        processes = Processes(server.url, "ec_cluster", folder)
        try:
            made = GuideSite(processes)
            yield made
            made.end()
        finally:
            processes.end()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("guide", NOT_TYPED)
def test_guide_shows_what_a_reader_sees(site: GuideSite, guide: str) -> None:
    page = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    reader = GuideReader(site)
    written = []
    try:
        with site.with_program(guide):
            for step in steps(page):
                is_typed = step.line not in NOT_TYPED[guide]
                written.append(reader.type(step) if is_typed else step)
                if is_typed and not WRITES:
                    assert alike(written[-1].answer, USER) == alike(step.answer, USER), step.line
    finally:
        reader.end()
    if WRITES:
        (ROOT / "docs" / guide).write_text(with_answers(page, written, USER), encoding="utf-8")

"""What a caller sees whose roles allow one command alone: no page, no form of it and no event tells him more."""

import re

import pytest

from eccmgr.feed.topics import FeedTopic
from eccmgr.manager import Manager
from eccmgr.web.pages import PAGES
from tests.integration.fleet import Fleet
from tests.integration.web.conftest import fetch, secret

pytestmark = pytest.mark.asyncio
TOKEN = "t" * 24
HEADER = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "S3CR3T"
COMMANDS = {
    "/": "info",
    "/nodes": "members",
    "/nodes/{name}": "why",
    "/vips": "vips",
    "/vips/{address}": "vips",
    "/commands": "history",
    "/commands/{id}": "retrieve",
    "/jobs": "jobs",
    "/schedules": "sched list",
    "/audit": "events",
    "/config": "config showrecurse",
}


async def limited(fleet: Fleet, *allowed: str) -> Manager:
    """A manager whose one caller may run the commands that these patterns allow."""
    secret(fleet.folder / "tokens", f"watch:{TOKEN}\n")
    (fleet.folder / "groups").write_text("readers:token:watch\n")
    patterns = " ".join(f'"{each}"' for each in allowed)
    return await fleet.manager(
        configuration=f'Control_Listener {{ AuthorizationParameters = [ uri = "groups://{fleet.folder}/groups" ] }}\n'
        f'Authorization {{ Role "readers" {{ allow = ( {patterns} ) }} }}\n'
        f'Http_Listener {{ Listen = "127.0.0.1:0"\n Enable_Authorization = true\n'
        f' Token_File = "{fleet.folder}/tokens" }}\n'
    )


def paths(path: str, sent: str) -> list[str]:
    """A page in all its forms, with names in it."""
    named = path.replace("{name}", "east1").replace("{address}", "10.1.1.1").replace("{id}", sent)
    base = "/index" if named == "/" else named
    return [named, f"{base}.json", f"{base}.txt"]


@pytest.mark.parametrize("command", sorted(set(COMMANDS.values())))
async def test_role_opens_the_pages_of_its_command(fleet: Fleet, command: str) -> None:
    manager = await limited(fleet, f"^{command}")
    await fleet.node("east1", "innermost")
    sent = (await fleet.ask("gather mark")).split()[1]
    assert {page.path for page in PAGES} == COMMANDS.keys()
    for page, needed in COMMANDS.items():
        for path in paths(page, sent):
            answer = await fetch(manager.pages.url, path, HEADER)
            assert (answer.code == 403) is (needed != command), (path, answer.code)
            if needed != command:
                assert not re.search("innermost|marked", answer.text), path
            assert (await fetch(manager.pages.url, path)).code == 401, path


async def test_overview_leaves_out_what_roles_forbid(fleet: Fleet) -> None:
    manager = await limited(fleet, "^info$")
    await fleet.node("east1")
    await fleet.ask("gather mark")
    page = await fetch(manager.pages.url, "/", HEADER)
    assert page.code == 200
    assert "All well" not in page.text
    assert not re.search("east1|gather mark", page.text)


async def test_events_and_metrics_need_their_roles(fleet: Fleet) -> None:
    manager = await limited(fleet, "^feed members$")
    for topic in FeedTopic:
        if topic is not FeedTopic.MEMBERS:
            assert (await fetch(manager.pages.url, f"/events?topics={topic.value}", HEADER)).code == 403
            assert (await fetch(manager.pages.url, f"/events?topics=members,{topic.value}", HEADER)).code == 403
    assert (await fetch(manager.pages.url, "/events", HEADER)).code == 403
    assert (await fetch(manager.pages.url, "/metrics", HEADER)).code == 403
    for path in ("/healthz", "/readyz"):
        assert (await fetch(manager.pages.url, path)).code == 200


async def test_no_page_shows_a_secret(fleet: Fleet) -> None:
    manager = await fleet.manager(
        configuration='Http_Listener { Listen = "127.0.0.1:0" }\n'
        f'Datasource "d" {{ uri = ( "pgsql:host=a;password={SECRET}" ) }}\na_password = "{SECRET}"\n'
    )
    await fleet.node("east1")
    sent = (await fleet.ask(f"gather config set a_password {SECRET}")).split()[1]
    await fleet.ask(f"broadcast config set Datasource d uri pg:password={SECRET}")
    await fleet.ask(f"sched in 9999 broadcast config set a_password {SECRET}")
    await fleet.ask(f"config set a_password {SECRET}")
    for page in COMMANDS:
        for path in paths(page, sent):
            answer = await fetch(manager.pages.url, path)
            assert SECRET not in answer.text, path
    shown = (await fetch(manager.pages.url, "/config")).text
    assert "********" in shown
    assert SECRET not in (await fetch(manager.pages.url, "/metrics")).text


async def test_configuration_names_the_place_of_options(fleet: Fleet) -> None:
    manager = await fleet.manager(configuration='Http_Listener { Listen = "127.0.0.1:0" }\nDebug_Level = "info"\n')
    await fleet.ask("config set cluster results_ttl 99")
    page = (await fetch(manager.pages.url, "/config")).text
    assert f"{manager.store.main}:1:17" in page
    assert re.search(r"<td>results_ttl</td><td>99(?:\.0)?</td><td class=\"dim\">set by \S+</td>", page)

"""The pages over HTTP: what they show, in each form, and to whom."""

import asyncio
import base64
import json
import ssl
import subprocess
from pathlib import Path

import pytest

from eccmgr.access.verifiers import Verifier
from eccmgr.redis.embedded import EmbeddedServer
from tests.integration.fleet import Fleet
from tests.integration.web.conftest import PAGES, fetch, lines_of, secret, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio
TOKEN = "t" * 24


def certificate(folder: Path) -> str:
    """The options of a TLS listener, with a certificate that signs itself."""
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(["openssl", "req", "-x509", *kind, *files], check=True, capture_output=True)
    return f'TLS_Certificate = "{folder}/cert.pem"\n TLS_Key = "{folder}/key.pem"\n'


async def test_pages_show_the_cluster_in_each_form(fleet: Fleet) -> None:
    manager = await serving(fleet)
    await fleet.node("east1", "east")
    sent = (await fleet.ask("gather mark")).split()[1]
    for path in PAGES:
        page = await fetch(manager.pages.url, path)
        assert page.code == 200, (path, page.text)
        assert page.text.startswith("<!doctype html>")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
    assert "All well" in (await fetch(manager.pages.url, "/")).text
    assert ">east1</a>" in (await fetch(manager.pages.url, "/nodes?sub=east")).text
    assert ">east1</a>" not in (await fetch(manager.pages.url, "/nodes?q=!east1")).text
    assert "1 of 1 answered" in (await fetch(manager.pages.url, f"/commands/{sent}")).text
    assert (await fetch(manager.pages.url, "/nodes/east1.json")).json["name"] == "east1"
    asked = await fleet.ask("json members")
    shown = (await fetch(manager.pages.url, "/nodes.json")).json["members"]
    assert [node["name"] for node in shown] == [node["name"] for node in json.loads(asked)["members"]]
    assert (await fetch(manager.pages.url, "/nodes.txt")).text.startswith("NODE")
    assert (await fetch(manager.pages.url, "/nodes/nobody")).code == 404
    assert (await fetch(manager.pages.url, "/nowhere")).code == 404


async def test_pages_without_redis_are_unavailable(lonely: Fleet, server: EmbeddedServer) -> None:
    manager = await serving(lonely)
    assert (await fetch(manager.pages.url, "/nodes/nobody")).code == 404
    await asyncio.to_thread(server.stop)

    async def unavailable() -> bool:
        answers = [await fetch(manager.pages.url, path) for path in ("/nodes", "/nodes.json", "/nodes.txt")]
        return {answer.code for answer in answers} == {503}

    await wait_until(unavailable, "the pages say that they are unavailable")
    overview = await fetch(manager.pages.url, "/")
    assert "Not known" in overview.text
    assert "All well" not in overview.text


async def test_page_is_sent_packed_to_browsers(fleet: Fleet) -> None:
    manager = await serving(fleet)
    packed = await fetch(manager.pages.url, "/", {"Accept-Encoding": "gzip, br"}, packed=True)
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in (await fetch(manager.pages.url, "/")).headers
    assert packed.text.startswith("<!doctype html>")


async def test_look_at_a_page_is_no_news(fleet: Fleet) -> None:
    manager = await serving(fleet)
    events: list[str] = []

    async def read() -> None:
        async for line in lines_of(manager.pages.url, "/events?brief=1&topics=audit"):
            events.append(line)  # noqa: PERF401 - the test looks at it meanwhile

    reading = asyncio.create_task(read())
    try:
        await wait_until(lambda: any(line.startswith("data: ") for line in events), "the first news comes")
        await fetch(manager.pages.url, "/audit")
        await wait_until(lambda: events.count("event: tick") >= 2, "nothing else comes")
        assert events.count("event: change") == 1
        await fleet.ask("sched in 9999 version")
        await wait_until(lambda: events.count("event: change") == 2, "news come")
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_page_follows_topics_that_its_reader_may_see(fleet: Fleet) -> None:
    secret(fleet.folder / "tokens", f"watch:{TOKEN}\n")
    (fleet.folder / "groups").write_text("readers:token:watch\n")
    manager = await fleet.manager(
        configuration=f'Control_Listener {{ AuthorizationParameters = [ uri = "groups://{fleet.folder}/groups" ] }}\n'
        'Authorization { Role "readers" { allow = ( "^feed members$" ) } }\n'
        f'Http_Listener {{ Listen = "127.0.0.1:0"\n Enable_Authorization = true\n'
        f' Token_File = "{fleet.folder}/tokens" }}\n'
    )
    header = {"Authorization": f"Bearer {TOKEN}"}
    topics = set()
    async for line in lines_of(manager.pages.url, "/events?brief=1&topics=vips,members", header):
        if line == "event: tick":
            break
        if line.startswith("data: "):
            topics.add(json.loads(line.removeprefix("data: ")).get("topic"))
    assert topics == {"members"}


async def test_text_of_an_answer_is_shown_as_text(fleet: Fleet) -> None:
    manager = await serving(fleet)
    await fleet.node("east1")
    sent = (await fleet.ask('gather config help "<script>alert(1)</script>"')).split()[1]
    for path in ("/", "/commands", "/audit", f"/commands/{sent}"):
        page = await fetch(manager.pages.url, path)
        assert "&lt;script&gt;alert" in page.text
        assert "<script>alert" not in page.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_pages_are_read_only(fleet: Fleet, method: str) -> None:
    manager = await serving(fleet)
    assert (await fetch(manager.pages.url, "/", method=method)).code == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1", "", "10.0.0.1"])
async def test_foreign_host_names_are_refused(fleet: Fleet, host: str) -> None:
    manager = await serving(fleet)
    assert (await fetch(manager.pages.url, "/", {"Host": host})).code in (400, 421)
    assert (await fetch(manager.pages.url, "/", {"Host": "localhost"})).code == 200


async def test_pages_beyond_loopback_need_a_proof(fleet: Fleet) -> None:
    from eccmgr.errors import ConfigError

    with pytest.raises(ConfigError, match="is not on the loopback, so callers have to sign in"):
        await serving(fleet, listen="0.0.0.0:0")


async def test_token_signs_a_caller_in(fleet: Fleet) -> None:
    secret(fleet.folder / "tokens", f"# one\ngrafana:{TOKEN}\n")
    manager = await serving(fleet, f'Token_File = "{fleet.folder}/tokens"')
    assert (await fetch(manager.pages.url, "/metrics")).code == 401
    assert (await fetch(manager.pages.url, "/metrics", {"Authorization": "Bearer wrong"})).code == 401
    answer = await fetch(manager.pages.url, "/metrics", {"Authorization": f"Bearer {TOKEN}"})
    assert (answer.code, "eccmgr_build_info" in answer.text) == (200, True)
    assert (await fetch(manager.pages.url, "/healthz")).text == "ok\n"


async def test_password_signs_a_caller_in_over_tls(fleet: Fleet) -> None:
    (fleet.folder / "scram").write_text(f"ann:{Verifier.of('pässword', b'salt' * 4, 4096)}\n")
    (fleet.folder / "scram").chmod(0o600)
    proof = base64.b64encode("ann:pässword".encode()).decode()
    manager = await fleet.manager(
        configuration=f'Control_Listener {{ AuthScramParameters = [ uri = "scram://{fleet.folder}/scram" ] }}\n'
        f'Http_Listener {{ Listen = "127.0.0.1:0"\n Enable_Authentication = true\n {certificate(fleet.folder)} }}\n'
    )
    assert manager.pages.url.startswith("https://")
    assert (await fetch(manager.pages.url, "/")).code == 401
    for wrong in ("ann:x", "bob:pässword", "ann", ""):
        header = f"Basic {base64.b64encode(wrong.encode()).decode()}"
        assert (await fetch(manager.pages.url, "/", {"Authorization": header})).code == 401
    assert (await fetch(manager.pages.url, "/", {"Authorization": f"Basic {proof}"})).code == 200


async def test_client_certificate_signs_a_caller_in(fleet: Fleet) -> None:
    own = certificate(fleet.folder)
    (fleet.folder / "groups").write_text("readers:cert:localhost\n")
    manager = await fleet.manager(
        configuration=f'Control_Listener {{ AuthorizationParameters = [ uri = "groups://{fleet.folder}/groups" ] }}\n'
        'Authorization { Role "readers" { allow = ( "^members$" ) } }\n'
        'Http_Listener { Listen = "127.0.0.1:0"\n Enable_Authorization = true\n'
        f' {own} TLS_Client_CA = "{fleet.folder}/cert.pem" }}\n'
    )
    context = ssl._create_unverified_context()
    with pytest.raises(OSError, match=r"certificate|SSL|closed|reset"):
        await fetch(manager.pages.url, "/nodes", context=context)
    context.load_cert_chain(f"{fleet.folder}/cert.pem", f"{fleet.folder}/key.pem")
    assert (await fetch(manager.pages.url, "/nodes", context=context)).code == 200
    assert (await fetch(manager.pages.url, "/vips", context=context)).code == 403


async def test_page_needs_the_role_of_its_command(fleet: Fleet) -> None:
    secret(fleet.folder / "tokens", f"watch:{TOKEN}\n")
    (fleet.folder / "groups").write_text("readers:token:watch\n")
    manager = await fleet.manager(
        configuration=f'Control_Listener {{ AuthorizationParameters = [ uri = "groups://{fleet.folder}/groups" ] }}\n'
        'Authorization { Role "readers" { allow = ( "^members$" "^feed members$" ) } }\n'
        f'Http_Listener {{ Listen = "127.0.0.1:0"\n Enable_Authorization = true\n'
        f' Token_File = "{fleet.folder}/tokens" }}\n'
    )
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert (await fetch(manager.pages.url, "/nodes", header)).code == 200
    for path in ("/vips", "/config", "/audit", "/commands", "/events?topics=vips"):
        assert (await fetch(manager.pages.url, path, header)).code == 403


async def test_listener_follows_the_configuration(fleet: Fleet) -> None:
    manager = await fleet.manager(configuration="Security { }\n")
    assert manager.pages.url == ""
    assert manager.store.main is not None
    Path(manager.store.main).write_text('Http_Listener { Listen = "127.0.0.1:0"\n Prefix = "/mail" }\n')
    assert await fleet.ask("config reload") == "Reconfigured"
    url = manager.pages.url
    assert (await fetch(url, "/mail/nodes")).code == 200
    assert 'href="/mail/vips"' in (await fetch(url, "/mail/")).text
    assert "locked" in await fleet.ask('config set Http_Listener Listen "127.0.0.1:1"')
    Path(manager.store.main).write_text("Security { }\n")
    assert await fleet.ask("config reload") == "Reconfigured"
    with pytest.raises(OSError, match="refused"):
        await fetch(url, "/mail/nodes")


async def test_readiness_says_what_is_missing(fleet: Fleet) -> None:
    manager = await serving(fleet)
    assert (await fetch(manager.pages.url, "/readyz")).code == 200

    async def unready() -> bool:
        # It joins again with the next heartbeat.
        manager.session.joined.clear()
        answer = await fetch(manager.pages.url, "/readyz")
        return (answer.code, answer.text) == (503, "This daemon is not a member of the cluster\n")

    await wait_until(unready, "it says that it is no member")

    async def ready() -> bool:
        return (await fetch(manager.pages.url, "/readyz")).code == 200

    await wait_until(ready, "it has joined again")

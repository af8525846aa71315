"""How callers prove who they are over HTTP: who may write and read the files, what a wrong proof costs, what a changed
file changes."""

import asyncio
import base64
import os
import ssl
from pathlib import Path

import pytest

from eccmgr.access.verifiers import Verifier
from eccmgr.commands.gate import Authentication
from eccmgr.errors import ConfigError
from tests.integration.fleet import Fleet
from tests.integration.web.conftest import fetch, lines_of, secret, serving
from tests.integration.web.test_pages import certificate
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio
OLD, NEW = "o" * 24, "n" * 24


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(0o666, "others than root may write"), (0o604, "others may read"), (0o644, "others may read")],
)
async def test_token_file_is_only_its_owners(fleet: Fleet, mode: int, reason: str) -> None:
    secret(fleet.folder / "tokens", f"ann:{OLD}\n", mode)
    with pytest.raises(ConfigError, match=reason) as refused:
        await serving(fleet, f'Token_File = "{fleet.folder}/tokens"')
    assert OLD not in str(refused.value)


async def test_token_file_that_is_a_pipe_is_refused(fleet: Fleet) -> None:
    os.mkfifo(fleet.folder / "tokens", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        await serving(fleet, f'Token_File = "{fleet.folder}/tokens"')


async def test_reload_follows_the_token_file(fleet: Fleet) -> None:
    secret(fleet.folder / "tokens", f"ann:{OLD}\n")
    manager = await serving(fleet, f'Token_File = "{fleet.folder}/tokens"')
    url = manager.pages.url
    assert (await fetch(url, "/nodes", bearing(OLD))).code == 200
    lines = lines_of(url, "/events?topics=members", bearing(OLD))
    assert "200" in await anext(lines)
    secret(fleet.folder / "tokens", f"ann:{NEW}\n")
    assert await fleet.ask("config reload") == "Reconfigured"
    assert manager.pages.url == url
    assert (await fetch(url, "/nodes", bearing(OLD))).code == 401
    assert (await fetch(url, "/nodes", bearing(NEW))).code == 200
    async with asyncio.timeout(60):
        async for _ in lines:
            pass  # the stream of a token that is gone ends
    secret(fleet.folder / "tokens", f"ann:{OLD}\n", 0o644)
    assert "others may read" in await fleet.ask("config reload")
    assert (await fetch(url, "/nodes", bearing(NEW))).code == 200


async def test_reload_follows_the_certificate(fleet: Fleet) -> None:
    def served(port: int) -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", port)).encode()

    manager = await serving(fleet, certificate(fleet.folder))
    port = int(manager.pages.url.split(":")[2].split("/")[0])
    before = await asyncio.to_thread(served, port)
    certificate(fleet.folder)
    assert await fleet.ask("config reload") == "Reconfigured"
    after = await asyncio.to_thread(served, port)
    assert (before != after, after.split()) == (True, Path(fleet.folder / "cert.pem").read_bytes().split())
    (fleet.folder / "cert.pem").write_text("nonsense")
    assert "TLS files" in await fleet.ask("config reload")
    assert await asyncio.to_thread(served, port) == after


async def test_wrong_proofs_are_delayed_on_every_way(fleet: Fleet) -> None:
    secret(fleet.folder / "tokens", f"ann:{OLD}\n")
    manager = await serving(fleet, f'Token_File = "{fleet.folder}/tokens"')
    told: list[tuple[str, Authentication]] = []
    manager.gate.on_signed_in = lambda caller, outcome: told.append((caller.user, outcome))
    penalties = manager.server.crowd.penalties
    assert (await fetch(manager.pages.url, "/nodes")).code == 401
    assert "127.0.0.1" not in penalties._failures
    for _ in range(2):
        assert (await fetch(manager.pages.url, "/nodes", bearing(NEW))).code == 401
        assert (await fetch(manager.pages.url, "/nodes", bearing(OLD))).code == 200
    assert penalties._failures["127.0.0.1"][0] == 2
    assert told.count(("anonymous", Authentication.FAILED)) == 2
    assert told.count(("token:ann", Authentication.SUCCEEDED)) == 1
    scrape = (await fetch(manager.pages.url, "/metrics", bearing(OLD))).text
    assert 'eccmgr_auth_failures_total{mechanism="token"} 2.0' in scrape


async def test_password_that_was_removed_counts_no_longer(fleet: Fleet) -> None:
    secret(fleet.folder / "scram", f"ann:{Verifier.of('pass', b'salt' * 4, 4096)}\n")
    manager = await fleet.manager(
        configuration=f'Control_Listener {{ AuthScramParameters = [ uri = "scram://{fleet.folder}/scram" ] }}\n'
        f'Http_Listener {{ Listen = "127.0.0.1:0"\n Enable_Authentication = true\n {certificate(fleet.folder)} }}\n'
    )
    proof = {"Authorization": f"Basic {base64.b64encode(b'ann:pass').decode()}"}
    assert (await fetch(manager.pages.url, "/nodes", proof)).code == 200
    secret(fleet.folder / "scram", "")
    assert await fleet.ask("config reload") == "Reconfigured"

    async def refused() -> bool:
        return (await fetch(manager.pages.url, "/nodes", proof)).code == 401

    await wait_until(refused, "the password counts no longer")

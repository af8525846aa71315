"""A manager, a few nodes and a Redis, all real processes, and consoles that give them commands all the time."""

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import redis.asyncio

from eccmgr.control import frames
from eccmgr.redis.embedded import EmbeddedServer, end_with_parent
from eccmgr.redis.keys import Keys
from tests.daemons import ROOT, read_answer
from tests.soak.verdict import Sample
from tests.waiting import wait_until

NODES = ("east1", "east2", "west1")
_CONSOLES = 12
_SAMPLES = 20
_LARGE = 150_000
_CONFIGURATION = "cluster {\n  results_ttl = 5\n  command_ttl = 3\n  command_timeout = 2\n}\n"
_ANSWER_WAIT_S = 60.0


class Soak:
    """One run of `commands` commands in `folder`, or of as many as fit into `limit_s`."""

    def __init__(self, folder: Path, commands: int, limit_s: float, seed: str = "soak") -> None:
        self._folder = folder
        self._commands = commands
        self._limit_s = limit_s
        self._seed = seed
        self._keys = Keys("soak")
        self._server = EmbeddedServer(folder / "redis")
        self._endpoint = folder / "manager"
        self._began = 0.0
        self._open = asyncio.Event()
        """Consoles give commands while this event is set."""
        self._busy = 0
        self._processes: dict[str, psutil.Process] = {}
        self.given = 0
        """The number of commands so far."""
        self.connections = 0
        self.samples: list[Sample] = []
        self.immortal: list[str] = []
        """The keys that had no lifetime."""

    async def run(self, say: Callable[[str], None] = lambda _line: None) -> None:
        """Play the run. Raises AssertionError at an unexpected answer."""
        await asyncio.to_thread(self._server.start)
        try:
            with self._daemons():
                await wait_until(self._ready, "every node answers")
                say(Sample.HEADER)
                async with redis.asyncio.Redis(unix_socket_path=str(self._server.socket)) as client:
                    self._began = time.monotonic()
                    self._open.set()
                    async with asyncio.TaskGroup() as tasks:
                        for number in range(_CONSOLES):
                            tasks.create_task(self._console(random.Random(f"{self._seed}/{number}")))
                        tasks.create_task(self._watch(client, say))
                    await self._rest(client)
                    await self._sample(client, say)
        finally:
            await asyncio.to_thread(self._server.stop)

    @property
    def over(self) -> bool:
        """Whether all commands were given, or the time is over."""
        return self.given >= self._commands or time.monotonic() > self._began + self._limit_s

    @contextlib.contextmanager
    def _daemons(self) -> Iterator[None]:
        configuration = self._folder / "soak.conf"
        configuration.write_text(_CONFIGURATION)
        common = ("--cluster", self._keys.cluster, "--config", str(configuration), "--redis", self._server.url)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ECCMGR_", "EC_", "COV_"))}
        started: list[subprocess.Popen[bytes]] = []
        try:
            for name in ("manager", *NODES):
                module = "cli.eccmgr" if name == "manager" else "tests.soak.soak_node"
                arguments = ("--name", name, "--listen", str(self._folder / name), *common)
                with (self._folder / f"{name}.log").open("wb") as output:
                    started.append(
                        subprocess.Popen(
                            [sys.executable, "-c", f"from {module} import main; main()", *arguments],
                            cwd=ROOT,
                            env=clean,
                            stdin=subprocess.DEVNULL,
                            stdout=output,
                            stderr=output,
                            preexec_fn=end_with_parent,
                        )
                    )
                self._processes[name] = psutil.Process(started[-1].pid)
            yield
            ended = [process.args for process in started if process.poll() is not None]
            assert not ended, f"ended on the way: {ended}"
        finally:
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    async def _ready(self) -> bool:
        try:
            async with Console(self._endpoint) as console:
                answer = json.loads(await console.ask("json gather --timeout 1 pid"))
        except OSError:
            return False
        return [node["state"] for node in answer.get("nodes", ())] == ["ok"] * len(NODES)

    async def _console(self, chance: random.Random) -> None:
        """Give commands on one connection after another."""
        while not self.over:
            self.connections += 1
            async with Console(self._endpoint) as console:
                for _ in range(chance.choice((1, 1, 5, 50))):
                    await self._open.wait()
                    if self.over:
                        return
                    self.given += 1
                    self._busy += 1
                    await self._give(console, chance)
                    self._busy -= 1

    async def _give(self, console: "Console", chance: random.Random) -> None:
        node, other = chance.sample(NODES, 2)
        kind = chance.choices(
            ("unicast", "gather", "broadcast", "failing", "batches", "set", "large", "abort", "history", "churn"),
            (40, 20, 20, 5, 5, 4, 2, 2, 2, 0.1),
        )[0]
        match kind:
            case "unicast":
                await console.ask(f"unicast {node} {chance.choice(('pid', 'touch', 'cluster nodename'))}")
            case "gather":
                await console.ask(
                    f"gather --timeout 20 {chance.choice(('', '@all', node))} {chance.choice(('pid', 'touch'))}"
                )
            case "broadcast":
                sent = json.loads(await console.ask(f"json broadcast touch {chance.choice(('', ' '))}"))["id"]
                await console.ask(f"retrieve #{sent}")
            case "failing":
                await console.ask(f"gather --timeout 20 {chance.choice(('fail', 'nonsense'))}")
            case "batches":
                await console.ask("gather --timeout 20 --batch 1 touch")
            case "set":
                await console.ask(f"gather --timeout 20 {node},{other} touch")
            case "large":
                await console.ask(f"gather --timeout 20 {node} fill {chance.randrange(_LARGE)}")
            case "abort":
                sent = json.loads(await console.ask("json broadcast hold"))["id"]
                await console.ask(f"abort #{sent}")
            case "history":
                await console.ask(chance.choice(("history", "show cluster membership", "info", "preview @all", "help")))
            case "churn":
                await console.ask(f"unicast {node} cluster reset")

    async def _watch(self, client: "redis.asyncio.Redis", say: Callable[[str], None]) -> None:
        """Take samples at equal intervals."""
        step = max(150, self._commands // _SAMPLES)
        while not self.over:
            if self.given >= step * (len(self.samples) + 1):
                self._open.clear()
                await self._rest(client)
                await self._sample(client, say)
                self._open.set()
            await asyncio.sleep(0.05)

    async def _rest(self, client: "redis.asyncio.Redis") -> None:
        """Wait until all is idle and the commands are forgotten, so that a sample does not depend on the rate."""

        async def forgotten() -> bool:
            return not [key async for key in client.scan_iter(match="*:cmd:*", count=1000)]

        await wait_until(lambda: self._busy == 0, "the consoles rest", _ANSWER_WAIT_S)
        await wait_until(forgotten, "every command is forgotten")

    async def _sample(self, client: "redis.asyncio.Redis", say: Callable[[str], None]) -> None:
        memory = await client.info("memory")
        nodes = [self._processes[name].memory_info().rss for name in NODES]
        self.samples.append(
            Sample(
                self.given,
                time.monotonic() - self._began,
                self._processes["manager"].memory_info().rss,
                max(nodes),
                int(memory["used_memory"]),
                await client.dbsize(),
                sum(process.num_fds() for process in self._processes.values()),
            )
        )
        say(str(self.samples[-1]))
        async for key in client.scan_iter(count=1000):
            if await client.ttl(key) == -1:
                self.immortal.append(key.decode())


class Console:
    """One connection to a listener."""

    def __init__(self, endpoint: Path) -> None:
        self._endpoint = endpoint

    async def __aenter__(self) -> "Console":
        self._reader, self._writer = await asyncio.open_unix_connection(str(self._endpoint))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def ask(self, command: str) -> str:
        """The answer to `command`."""
        self._writer.write(frames.encode_text(command))
        async with asyncio.timeout(_ANSWER_WAIT_S):
            answer = await read_answer(self._reader)
        for wrong in ("Internal error", "Redis refused", "Usage:"):
            assert wrong not in answer or command == "help", f"{command}: {answer[:500]}"
        return answer

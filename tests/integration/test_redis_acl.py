"""Managers and nodes as users of Redis's access lists: everything works with the rights that `eccmgr acl` prints, and
those of a node suffice for nothing else."""

import os
import re
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from typer.testing import CliRunner

from cli.eccmgr import app
from eccmgr.redis.acl import user_of_managers, user_of_node
from eccmgr.redis.keys import Keys
from eccmgr.redis.refusals import refusal_of
from tests.conftest import make_folder
from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.servers import Server, programs
from tests.vips import vips_in_memory
from tests.waiting import wait_until_sync

NODES = ("east1", "east2")
CONFIGURATION = """
trial { folder = "%s" }
sched { }
""" + vips_in_memory(2, 'logs = [ mainlog = "%s/main.log" ]')


class Users:
    """A server with an ACL file for the managers and two nodes of a cluster. The default user may do everything."""

    def __init__(self, folder: Path, keys: Keys, *options: str) -> None:
        self.keys = keys
        self.files = {name: folder / f"{name or 'managers'}.password" for name in ("", *NODES)}
        lines = ["user default on nopass ~* &* +@all"]
        for name, file in self.files.items():
            file.write_text(f"{secrets.token_hex(16)}\n")
            file.chmod(0o600)
            of_node = ("--node", name, "--subcluster", "default", "--subcluster", "east") if name else ()
            words = ("acl", "--cluster", keys.cluster, "--redis-password-file", str(file), *of_node)
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, done.stderr
            lines.append(done.stdout.strip())
        (folder / "users.acl").write_text("\n".join(lines) + "\n")
        self.server = Server(
            folder / "redis", f"aclfile {folder}/users.acl", "enable-debug-command yes", *options
        ).start()

    def name(self, node: str) -> str:
        """The user of a node; of the managers if `node` is ''."""
        return user_of_node(self.keys, node) if node else user_of_managers(self.keys)

    def call(self, node: str, *command: object) -> object:
        """What the server answers a user."""
        with redis.Redis(port=self.server.port, username=self.name(node), password=self.password(node)) as client:
            return client.execute_command(*command)

    def password(self, node: str) -> str:
        """The password of a user."""
        return self.files[node].read_text().strip()

    def refused(self) -> set[str]:
        """What the server has refused to any user, by its access lists."""
        log = self.server.call("ACL", "LOG", 128)
        return {f"{entry['username']}: {entry['object']} ({entry['context']})" for entry in map(_fields, log)}


def _fields(entry: list[str]) -> dict[str, str]:
    return dict(zip(entry[::2], entry[1::2], strict=True))


@pytest.fixture(scope="module", params=programs(), ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Each server program of this machine: the servers of this module are of that program."""
    with make_folder() as folder, pytest.MonkeyPatch.context() as patch:
        (folder / "redis-server").symlink_to(request.param)
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", str(ROOT / "tests" / "trial"))
        yield folder


def _users() -> Iterator[Users]:
    with make_folder() as folder:
        made = Users(folder, Keys(f"t{secrets.token_hex(6)}"))
        yield made
        made.server.stop()


@pytest.fixture(scope="module")
def users(program: Path) -> Iterator[Users]:
    """Users for tests of what the server refuses."""
    yield from _users()


@pytest.fixture(scope="module")
def working(program: Path) -> Iterator[Users]:
    """Users to whom the server refuses nothing but its settings, which daemons can do without."""
    for made in _users():
        yield made
        assert {refusal.partition(": ")[2] for refusal in made.refused()} <= {"config|get (toplevel)"}


class Site:
    """A manager and two nodes, each as its own user."""

    def __init__(self, users: Users, folder: Path) -> None:
        self.users, self.folder = users, folder
        self.processes = Processes("", users.keys.cluster, folder)
        self.main = folder / "nodes.conf"
        self.main.write_text(CONFIGURATION % (folder, folder))
        self.manager_file = folder / "manager.conf"
        self.manager_file.write_text(f'Logs {{ logfile = "{folder}/out/%{{l}}/%{{n}}" }}')
        self.manager = self.start("eccmgr", "barca", "", "-c", str(self.manager_file))
        self.nodes = {name: self.start("ecnode", name, name, "-c", str(self.main)) for name in NODES}

    def start(self, program: str, name: str, user: str, *flags: str) -> Process:
        self.processes.url = f"redis://{self.users.name(user)}@{self.users.server.address}/0"
        return self.processes.start(program, name, "--redis-password-file", str(self.users.files[user]), *flags)

    def ask(self, command: str, node: str = "") -> str:
        return ask_sync(self.nodes[node].endpoint if node else self.manager.endpoint, command)

    def lines(self, command: str) -> list[str]:
        """The lines of an answer after its header."""
        return self.ask(command).splitlines()[1:]

    def shows(self, command: str, text: str, node: str = "") -> None:
        """Wait until an answer has a match of the pattern `text`."""
        wait_until_sync(lambda: re.search(text, self.ask(command, node)) is not None, f"{command} shows {text}")


@pytest.fixture(scope="module")
def site(working: Users) -> Iterator[Site]:
    """All daemons, for all tests of one server program."""
    with make_folder() as folder:
        yield from _site(working, folder)


def _site(users: Users, folder: Path) -> Iterator[Site]:
    made = Site(users, folder)
    try:
        yield made
    finally:
        for name in "ab":
            (folder / name).touch()
        left = [child for each in made.nodes.values() for child in psutil.Process(each.popen.pid).children(True)]
        for node in made.nodes.values():
            node.end()
        made.manager.end()
        made.processes.end()
        psutil.wait_procs(left, 30)


def test_commands_reach_nodes_and_are_answered(site: Site) -> None:
    site.ask("flush control cache")
    assert len(site.lines("gather uptime")) == 2
    assert len(site.lines("gather --batch 1 pid")) == 2
    assert site.ask("broadcast version").endswith(" to 2 nodes")
    site.shows("retrieve version", "2 of 2 answered")
    assert [line.split("  ")[3:] for line in site.ask("history").splitlines()] == [
        ["@all", "2/2", "uptime"],
        ["@all", "2/2", "pid"],
        ["@all", "2/2", "version"],
    ]
    site.users.server.call("CLIENT", "KILL", "TYPE", "pubsub")
    assert len(site.lines("gather uptime")) == 2, "they read in the log what they did not hear"
    assert site.ask("flush control cache") == "Flushed 4 commands"
    assert "standalone" in site.ask("info")
    assert "DuraVIP: 2 VIPs" in site.ask("cluster info", "east1")


def test_long_commands_run_as_jobs_and_are_withdrawn(site: Site) -> None:
    site.ask("broadcast trial hold a")
    site.shows("retrieve trial hold a", r"(?s)east1: \(running, job \w+, 40 %\).*east2: \(running, job \w+, 40 %\)")
    assert "trial hold a" in site.ask("cluster jobs", "east1")
    (site.folder / "a").touch()
    site.shows("retrieve trial hold a", "(?s)east1 held a.*east2 held a")
    sent = site.ask("broadcast trial hold b").split()[1]
    site.shows("retrieve trial hold b", r"(?s)job.*\(running, job \w+, 40 %\)")
    site.ask(f"abort {sent}")
    site.shows("retrieve trial hold b", r"(?s)east1: \(aborted\).*east2: \(aborted\)")


def test_addresses_are_carried_and_survive_a_node(site: Site) -> None:
    site.shows("cluster duravip show", r"(?s)\(owned\b.*\(owned\b", "east1")
    site.nodes["east2"].end(signal.SIGKILL)
    site.shows("cluster duravip show", r"(?s)\*\s+east1\b.*\*\s+east1\b", "east1")
    site.nodes["east2"] = site.start("ecnode", "east2", "east2", "-c", str(site.main))


def test_schedules_run_on_managers_and_nodes(site: Site) -> None:
    assert site.ask("sched in 1 broadcast uptime").startswith("Job ")
    assert site.ask("sched in 1 uptime", "east1").startswith("Job ")
    site.shows("sched history", "ok .*broadcast uptime")
    site.shows("sched history", "ok .*uptime", "east1")


def test_logs_of_nodes_are_collected(site: Site) -> None:
    (site.folder / "main.log").write_text("a line\n")
    for node in NODES:
        collected = site.folder / "out" / "mainlog" / node
        wait_until_sync(lambda file=collected: file.exists() and file.read_text() == "a line\n", "the line is there")


def test_node_follows_its_bus_file(site: Site) -> None:
    bus = "# Subcluster: east = m\nSpread_Segment 10.0.0.255:4803 { east1 10.0.0.1 }\n"
    (site.folder / "mbus.conf").write_text(bus)
    site.manager.popen.send_signal(signal.SIGHUP)
    site.shows("show cluster membership", "<Group>ec_sc_east</Group>")
    site.shows("gather @east uptime", "1 of 1 answered")
    assert len(site.lines("gather @default uptime")) == 1


def test_node_that_may_not_hear_says_so(users: Users, folder: Path) -> None:
    processes = Processes(f"redis://{users.name('east1')}@{users.server.address}/0", users.keys.cluster, folder)
    flags = ("--redis-password-file", str(users.files["east1"]), "--subcluster", "west")
    node = processes.start("ecnode", "east1", *flags, wait=False)
    try:
        wait_until_sync(lambda: "code=NOPERM" in node.log, "the log names the refusal")
        assert "grant it to our user in Redis" in node.log
    finally:
        processes.end()


def everything_of_the_server() -> list[tuple[str, ...]]:
    """What neither managers nor nodes may do."""
    return [
        tuple(line.split(" "))
        for line in (
            *("CONFIG GET maxmemory", "CONFIG SET maxmemory 1", "CONFIG REWRITE", "KEYS *", "SCAN 0", "RANDOMKEY"),
            *("DBSIZE", "FLUSHDB", "FLUSHALL", "SELECT 1", "SWAPDB 0 1", "MOVE {ecc:C}:state 1", "DEBUG SLEEP 0"),
            *("ACL WHOAMI", "ACL LIST", "ACL SETUSER default off", "MONITOR", "SAVE", "SHUTDOWN", "REPLICAOF NO ONE"),
            *(
                "CLIENT LIST",
                "CLIENT KILL TYPE normal",
                "CLIENT PAUSE 1",
                "SLOWLOG GET",
                "MODULE LIST",
                "DUMP {ecc:C}:state",
            ),
            *("RESTORE {ecc:C}:view:1 0 x", "MIGRATE 127.0.0.1 1 {ecc:C}:state 0 1", "SORT {ecc:C}:sessions BY *"),
            *("FUNCTION LIST", "FUNCTION FLUSH", "FUNCTION LOAD #!lua", "FCALL x 0", "SCRIPT FLUSH", "SCRIPT KILL"),
            *("SCRIPT LOAD return", "PUBSUB CHANNELS", "PSUBSCRIBE *", "GET x", "HGETALL {ecc:other}:state"),
            *("HSET {ecc:other}:state a b", "XRANGE {ecc:other}:audit - +", "PUBLISH {ecc:other}:bcast x"),
            *("SUBSCRIBE {ecc:other}:bcast", "EVAL return{} 1 {ecc:other}:state", "PUBLISH x y"),
            *(
                "EVAL return(redis.call('HGETALL','{ecc:other}:state')) 0",
                "EVAL return(redis.call('FLUSHDB')) 0",
            ),
        )
    ]


def others_of_the_cluster() -> list[tuple[str, ...]]:
    """What managers may do, and nodes may not."""
    return [
        tuple(line.split(" "))
        for line in (
            *(f"{how} {{ecc:C}}:{channel} x" for how in ("PUBLISH", "SPUBLISH") for channel in ("node:east2", "bcast")),
            *("PUBLISH {ecc:C}:sub:east x", "PUBLISH {ecc:C}:node:east1 x", "PUBLISH {ecc:C}:sub:west x"),
            "EVAL return(redis.call('PUBLISH',ARGV[1],'x')) 0 {ecc:C}:node:east2",
            "EVAL return(redis.call('SPUBLISH',KEYS[1],'x')) 1 {ecc:C}:node:east2",
            *("SUBSCRIBE {ecc:C}:node:east2", "SSUBSCRIBE {ecc:C}:node:east2", "SUBSCRIBE {ecc:C}:sub:west"),
            *("SUBSCRIBE {ecc:C}:events", "SUBSCRIBE {ecc:C}:notices:1"),
            *("XRANGE {ecc:C}:audit - +", "XREVRANGE {ecc:C}:audit + -", "XREAD STREAMS {ecc:C}:audit 0"),
            *("COPY {ecc:C}:audit {ecc:C}:view:1", "RENAME {ecc:C}:audit {ecc:C}:view:1"),
            "EVAL return(redis.call('XRANGE',KEYS[1],'-','+')) 1 {ecc:C}:audit",
            *("HGETALL {ecc:C}:sched:", "HSET {ecc:C}:sched: a b", "DEL {ecc:C}:sched:", "ZADD {ecc:C}:sched::due 1 a"),
            *(
                "HGETALL {ecc:C}:sched::running",
                "LRANGE {ecc:C}:sched::past 0 -1",
                "COPY {ecc:C}:sched: {ecc:C}:view:1",
            ),
            *("HGETALL {ecc:C}:sched:east2", "HSET {ecc:C}:sched:east2 a b", "ZADD {ecc:C}:sched:east2:due 1 a"),
            "EVAL return(redis.call('HSET',KEYS[1],'a','b')) 1 {ecc:C}:sched:",
            *(
                "XADD {ecc:C}:log * id x",
                "HSET {ecc:C}:heads a b",
                "HSET {ecc:C}:latest a b",
                "HSET {ecc:C}:latest:x a b",
            ),
            *("RPUSH {ecc:C}:rq:queue:east2 x", "ZADD {ecc:C}:rq:wip:east2 1 x", "HSET {ecc:C}:draft:x a b"),
            *("PUBLISH {ecc:C}:rq:pubsub:east2-0123456789ab x", "DEL {ecc:C}:rq:worker:east2-0123456789ab"),
            *("SET {ecc:C}:certificate:east2 x", "GET {ecc:C}:certificate:east2"),
            *(
                "HSET {ecc:C}:logs:east2 a b",
                "HSET {ecc:C}:logs:east2:mainlog:state tail x",
                "ZRANGE {ecc:C}:logs 0 -1",
            ),
            *("XADD {ecc:C}:logs:east2:mainlog * b x", "XRANGE {ecc:C}:logs:east2:mainlog - +"),
            *("HGETALL {ecc:C}:loggatherers", "HSET {ecc:C}:loggatherers a b", "SUBSCRIBE {ecc:C}:tail:1"),
        )
    ]


def _refused(users: Users, node: str, words: tuple[str, ...]) -> None:
    command = [word.replace("{ecc:C}", users.keys.tag) for word in words]
    with pytest.raises(redis.ResponseError) as caught:
        users.call(node, *command)
    refusal = refusal_of(caught.value)
    assert (refusal and refusal.code) == "NOPERM", caught.value


@pytest.mark.parametrize("words", everything_of_the_server(), ids=" ".join)
@pytest.mark.parametrize("node", ["", "east1"], ids=["manager", "node"])
def test_no_user_reaches_the_server_or_other_clusters(users: Users, node: str, words: tuple[str, ...]) -> None:
    _refused(users, node, words)


@pytest.mark.parametrize("words", others_of_the_cluster(), ids=" ".join)
def test_node_reaches_no_part_of_others(users: Users, words: tuple[str, ...]) -> None:
    _refused(users, "east1", words)

"""`ec_console` in batch mode, as a script calls it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from eccmgr.control import frames
from eccmgr.redis.embedded import EmbeddedServer
from tests.conftest import make_folder
from tests.daemons import ROOT, Processes
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")


@pytest.fixture(scope="module")
def fleet(redis_server: EmbeddedServer) -> Iterator[Path]:
    """The endpoint of a manager with the nodes east1, east2 and west1."""
    with make_folder() as folder:
        processes = Processes(redis_server.url, f"t{uuid.uuid4().hex[:12]}", folder)
        try:
            for name in ("east1", "east2", "west1"):
                processes.start("ecnode", name, "--subcluster", name[:4], wait=False)
            endpoint = processes.manager().endpoint
            for process in processes.started:
                process.wait_ready()
            yield endpoint
        finally:
            processes.end()


def console(*arguments: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.ec_console", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_answer_goes_to_stdout_with_exit_code_0(fleet: Path) -> None:
    done = console(fleet, "version")
    assert done.stdout.splitlines()[1].startswith("# eccmgr version: ")
    assert (done.stderr, done.returncode) == ("", 0)


def test_refused_command_writes_stderr_and_exits_with_1(fleet: Path) -> None:
    done = console(fleet, "retreive", "pid")
    said = "Unknown command: 'retreive'. Did you mean 'retrieve'? Type help for a list.\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", said, 1)


@pytest.mark.parametrize("arguments", [["broadcast"], ["--frob"], ["--timeout", "x"]])
def test_usage_is_exit_code_2(fleet: Path, arguments: list[str]) -> None:
    done = console(fleet, *arguments)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.count("\n") == 1


def test_nodes_answering_with_errors_are_exit_code_3(fleet: Path) -> None:
    done = console(fleet, "gather", "@east", "frobnicate")
    assert done.returncode == 3
    assert "east1: failed: Unknown command: 'frobnicate'." in done.stdout
    assert done.stderr == ""


def test_missing_listener_is_exit_code_4(folder: Path) -> None:
    done = console(folder / "nobody", "version")
    said = f"ec_console: Cannot connect to {folder / 'nobody'}: No such file or directory\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", said, 4)


def test_gather_lists_nodes_by_name_after_its_header(fleet: Path) -> None:
    done = console(fleet, "gather", "cluster", "nodename")
    header, *lines = done.stdout.splitlines()
    assert header.endswith("3 of 3 answered")
    assert lines == ["east1: east1", "east2: east2", "west1: west1"]
    assert done.returncode == 0


def test_identical_answers_are_folded(fleet: Path) -> None:
    done = console("-b", fleet, "gather", "module list")
    assert done.stdout.splitlines()[1:] == ["east[1-2],west1: No modules are loaded"]
    assert console("--fold", fleet, "info").stdout.startswith("Cluster Group: ")


def test_json_is_one_object_for_answers_and_errors(fleet: Path) -> None:
    done = console("--json", fleet, "gather @west cluster nodename")
    made = json.loads(done.stdout)
    assert (made["status"], made["expected"], made["answered"]) == ("ok", 1, 1)
    assert [(node["node"], node["state"], node["text"]) for node in made["nodes"]] == [("west1", "ok", "west1")]
    refused = console("--json", fleet, "foo")
    assert json.loads(refused.stdout)["status"] == "error"
    assert (refused.stderr, refused.returncode) == ("", 1)


def test_lines_of_stdin_run_on_after_failures(fleet: Path) -> None:
    done = console(fleet, stdin="gather @west cluster nodename\n\nfoo\n  broadcast\nhelp version\n")
    assert "west1: west1" in done.stdout
    assert "Usage: version" in done.stdout
    assert "Unknown command: 'foo'" in done.stderr
    assert done.returncode == 1


def test_byte_order_mark_is_not_part_of_commands(fleet: Path) -> None:
    done = console(fleet, stdin="\ufeffgather @west cluster nodename\r\n")
    assert ("west1: west1" in done.stdout, done.stderr, done.returncode) == (True, "", 0)


def test_quit_ends_a_list_of_commands(fleet: Path) -> None:
    done = console(fleet, stdin="quit\nfoo\n")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_unterminated_last_line_and_non_text_are_accepted(fleet: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.ec_console", str(fleet)],
        cwd=ROOT,
        input=b"\xff\xfe\nhelp version",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == b"Command is not valid UTF-8\n"
    assert done.stdout.startswith(b"Usage: version\n")
    assert done.returncode == 1


def test_a_command_with_a_newline_inside_is_refused(fleet: Path) -> None:
    done = console(fleet, "version\nshutdown")
    assert (done.stderr, done.returncode) == ("A command is one line\n", 1)


def test_without_a_manager_the_environment_names_the_endpoint(fleet: Path) -> None:
    assert console("version", EC_CONSOLE_ENDPOINT=str(fleet)).returncode == 0


def test_who_reads_the_answers_may_stop_reading(fleet: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cli.ec_console", str(fleet)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.close()
        _, said = running.communicate("help\n" * 100, timeout=60)
    assert said == ""


def test_answer_survives_a_locale_that_cannot_write_it(fleet: Path) -> None:
    done = console(fleet, "cluster", "info", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.stderr == "cluster commands run on a node, not on the cluster manager; use: broadcast cluster ?\n"


def modules_loaded(*arguments: str | Path) -> set[str]:
    """The modules that a call of the console has loaded at its end."""
    script = "import sys; from cli.ec_console import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


def test_batch_mode_loads_nothing_heavy(fleet: Path) -> None:
    loaded = modules_loaded(fleet, "gather", "pid")
    assert "eccmgr.control.client.session" in loaded
    assert not loaded & {"asyncio", "typer", "pydantic", "redis", "prompt_toolkit", "structlog", "ssl"}
    assert not loaded & {"cryptography", "scramp", "eccmgr.access.keys"}


def test_options_load_typer_but_not_pydantic(fleet: Path) -> None:
    loaded = modules_loaded("--timeout", "50", fleet, "--fold", "gather", "pid")
    assert "typer" in loaded
    assert not loaded & {"asyncio", "pydantic", "rich", "redis", "prompt_toolkit", "structlog", "ssl"}


@dataclass
class FakeListener:
    """Accepts connections, and treats each as the test says."""

    path: Path
    answer: bytes | None
    """The bytes that it sends before it closes; with None it is silent."""
    stays: bool = False
    """Whether it waits for the client to go before it closes."""

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        self.heard = threading.Event()
        """Set once a client has sent something."""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket:
            client, _ = self._socket.accept()
            with client:
                client.recv(65536)
                self.heard.set()
                if self.answer is None:
                    # Silent until the client gives up.
                    client.recv(1)
                else:
                    client.sendall(self.answer)
                    if self.stays:
                        client.recv(1)

    def end(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "broke before the answer: it was closed by the other side"),
        (b"HTTP/1.1 400 Bad Request\r\n", "broke before the answer: Unknown frame type 18516"),
        (frames.encode(frames.RESULT, b"no json"), "broke before the answer: "),
        (frames.encode(frames.RESULT, b"{}"), "broke before the answer: "),
        (None, "No answer in time; a command that was sent goes on"),
    ],
)
def test_missing_answer_is_one_clear_line(folder: Path, answer: bytes | None, said: str) -> None:
    listener = FakeListener(folder / "fake", answer)
    done = console("--timeout", "0.5" if answer is None else "30", folder / "fake", "version")
    listener.end()
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 1


def test_listener_demanding_authentication_is_exit_code_5(folder: Path) -> None:
    listener = FakeListener(folder / "fake", frames.encode_text("Authentication required"))
    done = console(folder / "fake", "version")
    listener.end()
    assert (done.stderr, done.returncode) == ("Authentication required\n", 5)


def test_an_interrupted_wait_ends_without_a_trace(folder: Path) -> None:
    listener = FakeListener(folder / "fake", None)
    with subprocess.Popen(
        [sys.executable, "-m", "cli.ec_console", str(folder / "fake"), "gather", "pid"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        wait_until_sync(listener.heard.is_set, "it has asked")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    listener.end()
    assert (out, err, running.returncode) == ("", "", 130)


def _chunk(**fields: object) -> bytes:
    return frames.encode(frames.CHUNK, json.dumps({"id": 1, **fields}).encode())


ID = "01KB3ZC0WV9Y"
GATHERED = b"".join(
    (
        _chunk(
            event="progress",
            command_id=ID,
            command="pid",
            issued="2026-11-28T12:33:20+00:00",
            target="@all",
            expected=4,
            nodes=["east10", "east2", "east1"],
            absent=[{"node": "west1", "state": "absent", "seconds": 0, "text": "", "since": None}],
        ),
        _chunk(event="response", line="east2: 7", node="east2", state="ok", seconds=0.1, text="7"),
    )
)
WAY_ON = f"{ID} goes on: retrieve {ID}, abort {ID}\n"
LINES = [r"east1: \(pending, \d+ s\)", "east2: 7", r"east10: \(pending, \d+ s\)", r"west1: \(absent, never seen\)"]


@pytest.mark.parametrize("stays", [True, False], ids=["in no time", "broken"])
def test_a_gather_left_early_keeps_its_answers(folder: Path, stays: bool) -> None:
    listener = FakeListener(folder / "fake", GATHERED, stays)
    done = console("--timeout", "2", folder / "fake", "gather", "pid")
    listener.end()
    header, *lines = done.stdout.splitlines()
    assert re.fullmatch(rf"# {ID}  pid  [\d:]+  1 of 4 answered, 1 absent", header)
    assert all(re.fullmatch(*pair) for pair in zip(LINES, lines, strict=True))
    assert done.stderr.endswith("\n" + WAY_ON)
    assert done.returncode == 3


def test_a_gather_left_early_is_still_one_object(folder: Path) -> None:
    listener = FakeListener(folder / "fake", GATHERED, stays=True)
    done = console("--json", "--timeout", "2", folder / "fake", "gather", "pid")
    listener.end()
    made = json.loads(done.stdout)
    assert (made["id"], made["status"], made["expected"], made["answered"]) == (ID, "partial", 4, 1)
    assert [node["state"] for node in made["nodes"]] == ["pending", "ok", "pending", "absent"]
    assert (done.stderr.endswith(WAY_ON), done.returncode) == (True, 3)


def test_a_gather_left_early_is_folded(folder: Path) -> None:
    listener = FakeListener(folder / "fake", GATHERED)
    done = console("--fold", "--timeout", "2", folder / "fake", "gather", "pid")
    listener.end()
    assert re.search(r"^east\[1,10\]: \(pending, \d+ s\)$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_gather_says_how_it_goes_on(folder: Path, number: signal.Signals, code: int) -> None:
    listener = FakeListener(folder / "fake", GATHERED, stays=True)
    script = (
        "import os, sys\n"
        "from cli.console.heard import Heard\n"
        "take = Heard.take\n"
        "Heard.take = lambda self, event: (take(self, event), os.mkdir(sys.argv[1] + event['event']))\n"
        "from cli.ec_console import main\n"
        "main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "fake"), "gather", "pid"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        wait_until_sync((folder / "fakeresponse").exists, "the response has come")
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    listener.end()
    assert ("1 of 4 answered" in out, err, running.returncode) == (True, WAY_ON, code)

"""The console's reading of its command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.console.arguments import Arguments, parse
from cli.console.likeness import Folding
from cli.console.settings import DisplaySettings
from eccmgr.control.client.dialing import Route
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import UsageError
from eccmgr.text.words import split


def asked(*words: str, **environment: str) -> Arguments:
    return parse(words, environment)


def test_default_endpoint_is_the_well_known_one() -> None:
    assert (str(asked().endpoint), asked().named) == ("/tmp/2025", False)
    assert asked().command is None


def test_the_environment_names_the_endpoint() -> None:
    assert str(asked("version", EC_CONSOLE_ENDPOINT="/run/m").endpoint) == "/run/m"
    assert str(asked("/run/n", "version", EC_CONSOLE_ENDPOINT="/run/m").endpoint) == "/run/n"


def test_the_environment_names_whom_to_believe_in_tmp() -> None:
    assert asked().server_user == "eccmgr"
    assert asked(EC_CONSOLE_SERVER_USER="ecuser").server_user == "ecuser"


@pytest.mark.parametrize("endpoint", ["/tmp/x", "127.0.0.1:2025", "[::1]:2025", "manager.example.com:1"])
def test_first_word_like_an_endpoint_is_an_endpoint(endpoint: str) -> None:
    assert (str(asked(endpoint, "pid").endpoint), asked(endpoint, "pid").command) == (endpoint, "pid")


@pytest.mark.parametrize("relative", ["./m", "../m"])
def test_a_relative_path_is_an_endpoint(relative: str) -> None:
    assert asked(relative).endpoint.path is not None


@pytest.mark.parametrize("command", ["sieve:sieve1 flush cache", "version", "a@b", "x:1y"])
def test_any_other_first_word_begins_the_command(command: str) -> None:
    made = asked(*command.split())
    assert (str(made.endpoint), made.command) == ("/tmp/2025", command)


def test_options_stand_before_and_after_the_endpoint() -> None:
    made = asked("-b", "/tmp/x", "--json", "--timeout", "5", "gather", "--timeout", "7", "pid")
    assert (made.fold, made.json, made.timeout_s, made.command) == (True, True, 5.0, "gather --timeout 7 pid")


def test_options_end_at_the_commands_first_word() -> None:
    assert asked("gather", "-b", "--json").command == "gather -b --json"
    assert asked("gather", "-b", "--json").json is False


def test_two_dashes_end_the_options() -> None:
    assert asked("--", "/tmp/x").command == "/tmp/x"
    assert asked("/tmp/x", "--", "-b").command == "-b"


def test_one_argument_stays_and_several_are_quoted() -> None:
    assert asked('broadcast  echo "a  b"').command == 'broadcast  echo "a  b"'
    assert asked("broadcast", "echo", "a  b").command == 'broadcast echo "a  b"'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=5))
def test_words_of_a_shell_arrive_as_meant(words: list[str]) -> None:
    command = parse(("--", *words), {}).command
    assert command is not None
    assert [word.text for word in split(command)] == words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--frob"], "No such option: --frob (Possible options: --fold). Usage: ec_console [OPTIONS] [ENDPOINT]"),
        (["--timeout"], "Option '--timeout' requires an argument"),
        (["--timeout", "soon"], "--timeout takes seconds, more than 0 and at most 604800; not 'soon'"),
        (["--timeout=0"], "--timeout takes seconds"),
        (["--json=yes"], "Option '--json' does not take a value"),
        (["tls://host", "pid"], "Endpoint 'host' is not /PATH, HOST:PORT"),
        (["ssh://host:1", "pid"], "Endpoint 'ssh://host:1' is not ssh://OSUSER@HOST/"),
        (["ssh://-x/host:1", "pid"], "Endpoint 'ssh://-x/host:1' is not ssh://OSUSER@HOST/"),
        (["--ca"], "Option '--ca' requires an argument"),
        (["host:99999"], "Endpoint 'host:99999' is not /PATH"),
        (["/" + "x" * 200], "a socket's path has at most 107 bytes"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words, {})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_color_is_an_option_and_a_variable() -> None:
    assert asked().color
    assert not asked("--no-color").color
    assert not asked(NO_COLOR="1").color
    assert asked(NO_COLOR="", TERM="xterm").color


def test_display_follows_options_and_switches() -> None:
    assert DisplaySettings.of(asked()) == DisplaySettings()
    assert DisplaySettings.of(asked("--diff", "--no-progress", "-b")) == DisplaySettings(Folding.ON, True, False)
    assert DisplaySettings.of(asked("--diff")).folds
    assert not DisplaySettings.of(asked("--diff", "--json")).folds


def test_dumb_terminal_gets_no_colours() -> None:
    assert not asked(TERM="dumb").color


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("admin@host:1", Route(Endpoint(host="host", port=1), "admin")),
        ("tls://host:1", Route(Endpoint(host="host", port=1), tls=True)),
        ("tls://admin@[::1]:1", Route(Endpoint(host="::1", port=1), "admin", tls=True)),
        ("ssh://tom@gate/admin@host:1", Route(Endpoint(host="host", port=1), "admin", ssh="tom@gate")),
    ],
)
def test_ways_beyond_a_socket_are_read_back(text: str, route: Route) -> None:
    made = asked(text, "pid")
    assert (made.route, made.endpoint, made.command) == (text, route.endpoint, "pid")
    assert Route.parse(text) == route
    assert str(route) == text

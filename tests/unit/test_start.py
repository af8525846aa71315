"""The settings and files that a daemon reads at its start, and their precedence."""

import os
from pathlib import Path
from typing import Any

import pytest

from cli import eccmgr
from cli.daemons import DaemonProgram
from eccmgr.config.live.store import Store
from eccmgr.errors import ConfigError, SettingsError
from eccmgr.settings import NodeSettings, load
from worker.node import EcNode

pytestmark = pytest.mark.usefixtures("environment")

FILE = "cluster {\n  cluster_group = from_file\n  subcluster = from_file\n  nodename = from-file\n}\n"


def opened(default: Path, **flags: Any) -> Store:
    program = DaemonProgram("ecnode", NodeSettings, str(default), EcNode)
    return program.open(load(NodeSettings, flags), flags)


def evaluated(store: Store, option: str) -> tuple[str | None, str | None]:
    found = store.view().scope("cluster").effective(option)
    assert found is not None
    return store.view().scope("cluster").text(option), found.origin


def test_flag_wins_over_variable_and_file(folder: Path, environment: pytest.MonkeyPatch) -> None:
    (folder / "main.conf").write_text(FILE)
    environment.setenv("ECCMGR_CLUSTER", "from_variable")
    environment.setenv("ECCMGR_SUBCLUSTER", "from_variable")
    store = opened(folder / "none", config=str(folder / "main.conf"), subcluster="from_flag")
    assert evaluated(store, "cluster_group") == ("from_variable", "from the environment")
    assert evaluated(store, "subcluster") == ("from_flag", "from the command line")
    assert evaluated(store, "nodename") == ("from-file", None)


@pytest.mark.parametrize("flag", ["-g", "--cluster"])
def test_the_managers_cluster_has_the_vendors_flag(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        eccmgr.app([flag, "not a name", "--check"])
    assert ended.value.code == 2
    assert "Cluster name 'not a name'" in capsys.readouterr().err


def test_usual_file_is_read_if_none_is_named(folder: Path) -> None:
    (folder / "usual.conf").write_text(FILE)
    (folder / "named.conf").write_text("")
    assert opened(folder / "usual.conf").loaded.main == str(folder / "usual.conf")
    assert opened(folder / "usual.conf", config=str(folder / "named.conf")).loaded.main == str(folder / "named.conf")
    assert opened(folder / "none").loaded.main is None


@pytest.mark.parametrize(
    ("variables", "file", "name"),
    [
        ({"EC_NODE_NAME": "from-variable"}, FILE, "from-file"),
        ({"EC_NODE_NAME": "from-variable"}, "", "from-variable"),
        ({}, "", "pono"),
        ({"EC_NODE_NAME": "from-variable", "ECCMGR_NAME": "flagged"}, FILE, "flagged"),
    ],
)
def test_nodes_name_is_flag_file_variable_or_host(
    folder: Path, environment: pytest.MonkeyPatch, variables: dict[str, str], file: str, name: str
) -> None:
    environment.setattr("socket.gethostname", lambda: "pono.example.com")
    for variable, value in variables.items():
        environment.setenv(variable, value)
    (folder / "main.conf").write_text(file)
    assert EcNode(NodeSettings(), opened(folder / "main.conf")).name == name


@pytest.mark.parametrize(
    ("made", "endpoint"),
    [("", "/tmp/ecnode-n1"), ("/run/a/node:/run/b", "/run/a/node/n1")],
)
def test_a_node_listens_where_its_service_manager_says(
    folder: Path, environment: pytest.MonkeyPatch, made: str, endpoint: str
) -> None:
    environment.setenv("RUNTIME_DIRECTORY", made)
    environment.setenv("EC_NODE_NAME", "n1")
    node = EcNode(NodeSettings(), opened(folder / "none"))
    assert [str(each) for each in node.endpoints] == [endpoint]


def test_invalid_host_name_is_answered_with_a_remedy(folder: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setattr("socket.gethostname", lambda: "-odd")
    with pytest.raises(Exception, match=r"The host's name '-odd' cannot be a node's name; set cluster \{ nodename"):
        EcNode(NodeSettings(), opened(folder / "none"))


def test_invalid_endpoint_is_reported_before_opening_any(folder: Path) -> None:
    with pytest.raises(SettingsError, match="Endpoint 'nowhere' is not /PATH"):
        opened(folder / "none", listen=("nowhere",))
    assert not os.listdir(folder)


def test_impossible_floating_address_fails_check_and_start(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "main.conf").write_text('Binding "out" { Enable_Duravip = on  Bind_Address = "10.9.9.9" }\n')
    program = DaemonProgram("ecnode", NodeSettings, str(folder / "none"), EcNode)
    assert program.run({"config": str(folder / "main.conf")}, check=True) == 1
    assert 'main.conf:1:1: VIP 10.9.9.9 of Binding "out" is outside of every Topology' in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"VIP 10\.9\.9\.9"):
        EcNode(NodeSettings(), opened(folder / "none", config=str(folder / "main.conf")))

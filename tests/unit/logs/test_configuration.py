"""The configuration of log collection is read as the vendor's manual writes it."""

import pytest

from eccmgr.config.live.cluster_log import ClusterLog
from eccmgr.config.live.options import log_files
from eccmgr.config.live.store import Store
from eccmgr.errors import ConfigError
from eccmgr.logs.collection.gathering.template import Template
from eccmgr.logs.collection.options import GatheringOptions, WatchedLog, gathering_options, watching_options
from eccmgr.logs.collection.safe_names import safe_name
from tests.unit.config.memory import MemoryFiles

NODE = """
cluster { logs = [ mainlog = "/var/log/ecelerity/mainlog.cluster"  webui = "/var/log/webui.log" ] }
ec_logger "ec_logger_cluster" {
  mainlog = "cluster:///var/log/ecelerity/mainlog.cluster=>master"
  rejectlog = "cluster:///var/log/ecelerity/rejectlog.cluster?subscribers=eastmgr,archive"
  paniclog = "/var/log/ecelerity/paniclog"
}
"""
MANAGER = """
Logs {
  logfile = "/var/log/eccluster/%Y/%m/%d/%{l}/%{s}/%{n}"
  file_mode = "0640"
  Manager "eastmgr" { Subscriber = ( eastmgr archive ) }
  Node "west1" { Subscriber = () }
}
"""


def store(text: str) -> Store:
    made = Store("/c/main.conf", files=MemoryFiles({"/c/main.conf": text.encode()}))
    made.load()
    return made


def gathering(text: str, manager: str) -> GatheringOptions:
    return gathering_options(store(text).view(), manager)


def test_logs_of_a_node_have_their_subscribers() -> None:
    assert watching_options(store(NODE).view()).logs == (
        WatchedLog("mainlog", "/var/log/ecelerity/mainlog.cluster", ("master",)),
        WatchedLog("webui", "/var/log/webui.log", ("master",)),
        WatchedLog("rejectlog", "/var/log/ecelerity/rejectlog.cluster", ("eastmgr", "archive")),
    )


def test_daemon_writes_the_file_that_is_collected() -> None:
    (logger,) = log_files(store(NODE).view())
    assert (logger.mainlog, logger.paniclog) == ("/var/log/ecelerity/mainlog.cluster", "/var/log/ecelerity/paniclog")


def test_manager_subscribes_as_itself_and_as_master() -> None:
    assert gathering(MANAGER, "roma").subscribers == ("roma", "master")
    assert gathering(MANAGER, "EastMgr").subscribers == ("eastmgr", "archive")
    assert gathering(MANAGER, "roma").subscribers_for("WEST1") == ()
    assert gathering(MANAGER, "roma").subscribers_for("east1") == ("roma", "master")
    assert gathering("", "roma").template is None


def test_path_has_the_day_and_the_names() -> None:
    template = gathering(MANAGER, "roma").template
    assert template is not None
    assert template.path("mainlog", "east", "east1", 1_800_000_000_000) == (
        "/var/log/eccluster/2027/01/15/mainlog/east/east1"
    )
    assert template.root == "/var/log/eccluster"


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../x", "%2E.%2Fx"), ("..", "%2E."), ("a b\n", "a%20b%0A"), ("", "%"), ("%41", "%2541"), ("mainlog", "mainlog")],
)
def test_unusual_names_are_safe_in_paths(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/var/log/%{l}", "expected %{n} (the node) in the path"),
        ("/var/log/%{n}", "expected %{l} (the log) in the path"),
        ("/var/log/%{l}/%{n}/%{x}", "'%{x}' is unknown"),
        ("var/%{l}/%{n}", "expected the absolute path"),
        ("/a/../%{l}/%{n}", "without '..'"),
        ("/a/%S/%{l}/%{n}", "'%S' is not among the times"),
    ],
)
def test_path_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Template(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cluster://relative=>master", "expected cluster:///PATH=>SUBSCRIBER"),
        ("cluster:///var/log/=>master", "expected cluster:///PATH=>SUBSCRIBER"),
        ("cluster:///x=>a b", "'a b' is no name of a subscriber"),
    ],
)
def test_cluster_path_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ClusterLog.parse(text)
    assert said in str(caught.value)


def test_log_with_a_relative_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected the absolute path of a file"):
        watching_options(store('cluster { logs = [ a = "x.log" ] }').view())


def test_node_may_have_a_path_of_its_own() -> None:
    text = """
    Logs {
      logfile = "/var/log/eccluster/%{l}/%{n}"
      utc = false
      Node "west1" { logfile = "/srv/west/%{l}/%{n}" }
    }
    """
    how = gathering(text, "eastmgr")
    assert how.template_for("WEST1") == Template("/srv/west/%{l}/%{n}", utc=False)
    assert how.template_for("east1") == how.template


def test_node_within_a_manager_counts_there_alone() -> None:
    text = """
    Logs {
      logfile = "/var/log/eccluster/%{l}/%{n}"
      Manager "eastmgr" { Subscriber = ( a b )  Node "west1" { Subscriber = () } }
    }
    """
    here, elsewhere = gathering(text, "eastmgr"), gathering(text, "westmgr")
    assert here.subscribers_for("east1") == ("a", "b")
    assert here.subscribers_for("WEST1") == ()
    assert elsewhere.subscribers_for("west1") == ("westmgr", "master")

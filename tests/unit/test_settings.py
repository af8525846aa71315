"""Settings: a flag wins over a variable, a variable over the default, and a fault is one line that names its place."""

from pathlib import Path

import pytest

from eccmgr.errors import SettingsError
from eccmgr.settings import ManagerSettings, NodeSettings, check_readable, load, short_host_name

pytestmark = pytest.mark.usefixtures("environment")


def test_without_flags_and_variables_there_are_defaults() -> None:
    settings = load(NodeSettings, {"redis": None, "name": None})
    assert (settings.redis, settings.cluster) == ("redis://127.0.0.1:6379/0", "ec_cluster")
    assert (settings.name, settings.subcluster, settings.listen) == (short_host_name(), "default", ())


def test_a_variable_wins_over_the_default_and_a_flag_over_the_variable(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ECCMGR_CLUSTER", "from_variable")
    environment.setenv("ECCMGR_NAME", "variable")
    settings = load(ManagerSettings, {"name": "flag", "cluster": None})
    assert (settings.cluster, settings.name) == ("from_variable", "flag")


@pytest.mark.parametrize("text", ["/a,/b", "/a, /b", " /a   /b ", "/a,,/b"])
def test_a_variable_may_name_several_endpoints(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("ECCMGR_LISTEN", text)
    assert load(ManagerSettings, {}).listen == ("/a", "/b")


def test_the_host_name_ends_at_its_first_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "pono.example.com")
    assert load(ManagerSettings, {}).name == "pono"


def test_a_fault_names_the_flag_or_the_variable(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^--verbose: .*'loud'\)$"):
        load(ManagerSettings, {"verbose": "loud"})
    environment.setenv("ECCMGR_DEBUG", "perhaps")
    with pytest.raises(SettingsError, match=r"^ECCMGR_DEBUG: .*'perhaps'\)$"):
        load(ManagerSettings, {})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^Cannot read .*/none: No such file or directory$"):
        check_readable(str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"Is a directory$"):
        check_readable(str(tmp_path))
    (tmp_path / "file").write_bytes(b"")
    check_readable(str(tmp_path / "file"))

"""Settings: a flag wins over a variable, and a variable over the default. A fault is one line that names its place."""

import pytest

from eccmgr.errors import SettingsError
from eccmgr.settings import ManagerSettings, NodeSettings, load

pytestmark = pytest.mark.usefixtures("environment")


def test_without_flags_and_variables_there_are_defaults() -> None:
    settings = load(NodeSettings, {"redis": None, "name": None})
    assert (settings.redis, settings.listen) == ("redis://127.0.0.1:6379/0", ())
    assert (settings.cluster, settings.name, settings.subcluster) == (None, None, None)


def test_variable_wins_over_default_and_flag_over_variable(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ECCMGR_CLUSTER", "from_variable")
    environment.setenv("ECCMGR_NAME", "variable")
    settings = load(ManagerSettings, {"name": "flag", "cluster": None})
    assert (settings.cluster, settings.name) == ("from_variable", "flag")


@pytest.mark.parametrize("text", ["/a,/b", "/a, /b", " /a   /b ", "/a,,/b"])
def test_a_variable_may_name_several_endpoints(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("ECCMGR_LISTEN", text)
    assert load(ManagerSettings, {}).listen == ("/a", "/b")


def test_a_fault_names_the_flag_or_the_variable(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^--verbose: .*'loud'\)$"):
        load(ManagerSettings, {"verbose": "loud"})
    environment.setenv("ECCMGR_DEBUG", "perhaps")
    with pytest.raises(SettingsError, match=r"^ECCMGR_DEBUG: .*'perhaps'\)$"):
        load(ManagerSettings, {})

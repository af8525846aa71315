"""Names in Redis: all carry their cluster's tag, and all are made in one place."""

import inspect
from functools import cached_property
from pathlib import Path

import pytest

from eccmgr.errors import SettingsError
from eccmgr.redis.keys import Keys

PACKAGES = ("eccmgr", "worker", "cli")
ROOT = Path(__file__).resolve().parents[2]


def every_name(keys: Keys) -> list[str]:
    names = []
    for name, member in inspect.getmembers(Keys):
        if isinstance(member, cached_property):
            names.append(getattr(keys, name))
        elif inspect.isfunction(member) and not name.startswith("_"):
            parameters = len(inspect.signature(member).parameters) - 1
            names.append(member(keys, *["ABC"] * parameters))
    return names


def test_every_name_carries_the_tag_of_its_cluster() -> None:
    names = every_name(Keys("east.1"))
    assert len(names) > 20
    assert all(name.startswith("{ecc:east.1}") for name in names)


def test_no_two_names_are_the_same() -> None:
    names = every_name(Keys("c"))
    assert len(set(names)) == len(names)


def test_node_and_subcluster_names_are_separate_without_case() -> None:
    keys = Keys("c")
    assert keys.node("East1") == keys.node("EAST1")
    assert keys.subcluster("East") == keys.subcluster("EAST") != keys.node("East")


@pytest.mark.parametrize("cluster", ["", "a b", "{x}", "a}b", "-a", "x" * 64, "a\n", "a:b"])
def test_cluster_name_that_breaks_the_tag_is_refused(cluster: str) -> None:
    with pytest.raises(SettingsError, match=r"^Cluster name '"):
        Keys(cluster)


def test_no_other_module_makes_a_name() -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in (".py", ".lua")]
    makers = {str(path.relative_to(ROOT)) for path in sources if "ecc:" in path.read_text()}
    assert makers == {"eccmgr/redis/keys.py"}


def test_lua_and_python_name_command_parts_alike() -> None:
    part = (ROOT / "eccmgr/redis/lua/parts/commands.lua").read_text()
    keys = Keys("c")
    for name in (keys.responses("ID"), keys.arrived("ID")):
        assert f"key .. '{name.removeprefix(keys.command('ID'))}'" in part

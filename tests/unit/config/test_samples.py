"""The sample files: their readers take them, and their items are those that the comments describe."""

import pytest

from eccmgr.config.files.busfile import read_mbus, read_msgc_server
from eccmgr.config.files.groupfile import read_groups
from eccmgr.config.syntax.parse import parse_bytes
from tests.unit.config.console import SAMPLES, Console


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.conf") if path.name != "mbus.conf"))
def test_a_sample_parses_and_keeps_every_byte(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    document, faults = parse_bytes(name, data)
    assert faults == []
    assert document.text.encode() == data
    assert document.items


def test_managers_sample_is_overlaid_by_its_last_include(manager: Console) -> None:
    assert manager.ok("config get Datasource ecdb uri").startswith('uri = ( "pgsql:host=192.168.0.50;')
    assert manager.ok("config get Datasource ecdb cache_life") == "cache_life = 300"


def test_managers_sample_keeps_other_programs_options(manager: Console) -> None:
    assert manager.ok("config get auth_ds scheme ecauth authenticate map") == 'map = [ user = "%{username}" ]'
    assert 'Scheme "ecauth" {' in manager.ok("config showrecurse")


def test_the_nodes_sample_holds_its_cluster_and_bindings(node: Console) -> None:
    assert node.ok("config eval cluster subcluster") == 'subcluster = "east"'
    assert node.ok("config eval cluster topology 2001:db8:1::/64 cidrmask") == "cidrmask = 128"
    assert node.ok("config eval binding duravip-2 duravip_preference") == 'Duravip_Preference = "east1"'


def test_bus_file_names_nodes_with_their_subclusters() -> None:
    bus = read_mbus("mbus.conf", (SAMPLES / "mbus.conf").read_bytes())
    assert [(node.name, node.address, node.subcluster) for node in bus.nodes] == [
        ("rh52bare", "10.79.24.130", "east"),
        ("rh52mgr", "10.79.24.136", "east"),
        ("rh52bar2", "10.79.240.129", "west"),
        ("rh52bar3", "10.79.241.7", "west"),
    ]
    assert {node.manager for node in bus.nodes} == {"rh52mgr.vmnet24.example.com"}


def test_peers_of_the_message_server_are_expected() -> None:
    bus = read_msgc_server("msgc_server.conf", (SAMPLES / "msgc_server.conf").read_bytes())
    assert [(node.name, node.address) for node in bus.nodes] == [
        ("node1", "192.168.0.10"),
        ("node2", "192.168.0.11"),
        ("manager", "192.168.0.12"),
    ]
    assert bus.given()["node1"] == []


def test_the_group_file_gives_each_user_his_roles() -> None:
    groups = read_groups("console_roles", (SAMPLES / "console_roles").read_bytes())
    assert groups.roles_of("serv") == ["serv", "admin"]
    assert groups.roles_of("bob") == ["bob", "operators"]
    assert groups.roles_of("root") == ["root"]
    assert groups.roles_of("mallory") == ["mallory"]

"""A node reads its VIPs, and its messages name impossible ones."""

import itertools
from pathlib import Path

import pytest

from eccmgr.config.live.parts import NOTHING, Prepared
from eccmgr.config.live.store import Proposal, Store
from eccmgr.duravip.shares import Share, from_json, to_json
from eccmgr.errors import ConfigError, Unreadable
from tests.unit.config.console import Console, own_sample
from worker.duravip.options import DuravipOptions, FenceKind, PlumberKind, duravip_options
from worker.duravip.vips import ConfiguredVip, read_vips, touches_vips

TOPOLOGY = """
cluster {
  Topology "10.1.0.0/16" { interface = "eth0" }
  Topology "10.1.1.0/24" { interface = "eth1"  cidrmask = 24 }
  Topology "2001:db8::/32" { interface = "eth6" }
}
"""


def store_of(folder: Path, text: str, above: str = TOPOLOGY) -> Store:
    path = folder / "node.conf"
    path.write_text(above.replace("\n", " ") + text)
    return Store.open(str(path))


def vips(folder: Path, text: str, above: str = TOPOLOGY) -> dict[str, ConfiguredVip]:
    return read_vips(store_of(folder, text, above).view())


def fault(folder: Path, text: str, above: str = TOPOLOGY) -> str:
    with pytest.raises(ConfigError) as raised:
        vips(folder, text, above)
    return str(raised.value).replace(str(folder), "")


def binding(name: str, address: str, more: str = "Enable_Duravip = true") -> str:
    return f'Binding "{name}" {{ Bind_Address = "{address}"  {more} }}\n'


def listen(endpoint: str, more: str) -> str:
    return f'ESMTP_Listener {{ Listen "{endpoint}" {{ {more} }} }}\n'


def test_sample_has_its_bindings_listeners_and_follower() -> None:
    found = read_vips(Store.open(own_sample("ecelerity-cluster.conf")).view())
    assert found == {
        "10.1.1.1": ConfiguredVip("10.1.1.1", "eth1", 32, ("duravip-1",), services=('Listen "10.1.1.1:25"',)),
        "10.1.1.2": ConfiguredVip("10.1.1.2", "eth1", 32, ("duravip-2",), "east1"),
        "10.1.1.20": ConfiguredVip(
            "10.1.1.20", "eth1", 32, (), None, "10.1.1.2", ('Listen "10.1.1.20:25"',)
        ),
        "2001:db8:1::6": ConfiguredVip("2001:db8:1::6", "eth1", 128, ("duravip-6",)),
    }  # fmt: skip


def test_narrowest_network_determines_an_addresss_interface(folder: Path) -> None:
    found = vips(folder, binding("a", "10.1.1.1") + binding("b", "10.1.2.1"))
    assert [(each.interface, each.prefix_length) for each in found.values()] == [("eth1", 24), ("eth0", 32)]


def test_address_is_equal_in_every_spelling(folder: Path) -> None:
    found = vips(folder, binding("six", "2001:DB8:0:0::6") + listen("[2001:db8::0006]:25", "Enable_Duravip = on"))
    assert found == {
        "2001:db8::6": ConfiguredVip("2001:db8::6", "eth6", 128, ("six",), services=('Listen "[2001:db8::0006]:25"',))
    }


def test_the_order_of_stanzas_makes_no_difference(folder: Path) -> None:
    stanzas = [
        binding("a", "10.1.1.1", "Enable_Duravip = on Duravip_Preference = East1"),
        binding("a2", "10.1.1.1"),
        binding("B", "10.1.1.2", "Duravip_Follow = a"),
        listen("10.1.1.3:25", "Duravip_Follow = 10.1.1.2"),
        listen("10.1.1.1:25", ""),
    ]
    expected = vips(folder, "".join(stanzas))
    assert list(expected) == ["10.1.1.1", "10.1.1.2", "10.1.1.3"]
    for order in itertools.permutations([*stanzas, TOPOLOGY]):
        found = vips(folder, "".join(order), "")
        assert (found, list(found)) == (expected, list(expected))


def test_names_keep_case_and_addresses_may_be_shared(folder: Path) -> None:
    found = vips(
        folder, binding("Mail-Out", "10.1.1.1") + binding("mail-out", "10.1.1.1") + binding("x", "10.1.1.9", "")
    )
    assert [each.names for each in found.values()] == [("Mail-Out", "mail-out")]


def test_follower_of_a_follower_moves_with_the_first(folder: Path) -> None:
    text = binding("c", "10.1.1.3", "Duravip_Follow = b") + binding("b", "10.1.1.2", "Duravip_Follow = 10.1.1.1")
    found = vips(folder, text + binding("a", "10.1.1.1"))
    assert [each.follows for each in found.values()] == [None, "10.1.1.1", "10.1.1.1"]


def test_a_long_row_of_followers_is_resolved_whole(folder: Path) -> None:
    text = "".join(binding(f"b{i}", f"10.1.2.{i}", f"Duravip_Follow = b{i + 1}") for i in range(1, 200))
    found = vips(folder, text + binding("b200", "10.1.2.200"))
    assert {each.follows for each in found.values()} == {"10.1.2.200", None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            binding("out", "10.2.0.1"),
            ('VIP 10.2.0.1 of Binding "out" is outside of every Topology, '
            'expected one such as Topology "10.2.0.0/24" { interface = NAME }'),
        ),
        (
            binding("m", "::ffff:10.1.1.1"),
            'Binding "m" has an IPv4 address in a form of IPv6, expected 10.1.1.1',
        ),
        ('Binding "x" { Enable_Duravip = on }', 'Binding "x" is to float and has no address, expected Bind_Address'),
        (
            listen("*:25", "Enable_Duravip = on"),
            'Listen "*:25" is to float, expected ADDRESS:PORT with an IP address',
        ),
        (
            binding("a", "10.1.1.1") + listen("10.1.1.1:25", "Duravip_Follow = b") + binding("b", "10.1.1.2"),
            ("VIP 10.1.1.1 has both Enable_Duravip and Duravip_Follow "
            '(Binding "a" and Listen "10.1.1.1:25"), expected one'),
        ),
        (
            binding("a", "10.1.1.1", "Enable_Duravip = on Duravip_Follow = b") + binding("b", "10.1.1.2"),
            'VIP 10.1.1.1 has both Enable_Duravip and Duravip_Follow (Binding "a"), expected one',
        ),
        (
            binding("a", "10.1.1.1") + listen("10.1.1.2:25", "Duravip_Follow = A"),
            ('VIP 10.1.1.2 of Listen "10.1.1.2:25" follows \'A\', '
            "expected the name or the address of another VIP of this configuration"),
        ),
        (
            binding("a", "10.1.1.1", "Duravip_Follow = 10.1.1.1"),
            'VIP 10.1.1.1 of Binding "a" follows itself, expected another VIP',
        ),
        (
            binding("a", "10.1.1.1", "Duravip_Follow = b") + binding("b", "10.1.1.2", "Duravip_Follow = a"),
            "VIP 10.1.1.1 follows in a circle: 10.1.1.1 → 10.1.1.2 → 10.1.1.1",
        ),
        (
            binding("a", "10.1.1.1") + binding("b", "10.1.1.2") + listen("10.1.1.3:25", "Duravip_Follow = a")
            + listen("10.1.1.3:26", "Duravip_Follow = b"),
            "VIP 10.1.1.3 follows both 10.1.1.1 and 10.1.1.2, expected one",
        ),
        (
            binding("a", "10.1.1.1", "Enable_Duravip = on Duravip_Preference = east1")
            + listen("10.1.1.1:25", "Enable_Duravip = on Duravip_Preference = east2"),
            "VIP 10.1.1.1 has the preferences east1 and east2, expected one",
        ),
        (
            binding("a", "0.0.0.0") + 'cluster { Topology "0.0.0.0/0" { interface = e } }',
            'VIP 0.0.0.0 of Binding "a" cannot be carried, expected the address of one host',
        ),
        (
            binding("a", "10.3.0.1") + 'cluster { Topology "10.3.0.0/16" { cidrmask = 32 } }',
            'VIP 10.3.0.1 of Binding "a": Topology "10.3.0.0/16" names no interface',
        ),
        (
            'cluster { Topology "10.3.0.0/16" { interface = e cidrmask = 64 } }',
            'Topology "10.3.0.0/16" has cidrmask 64, expected at most 32',
        ),
        (
            'cluster { Topology "10.1.1.7/24" { interface = e } }',
            'Topology "10.1.1.7/24" is the network of Topology "10.1.1.0/24" again',
        ),
    ],
)  # fmt: skip
def test_impossible_vip_is_named_with_its_place(folder: Path, text: str, said: str) -> None:
    lines = fault(folder, text).splitlines()
    assert said in {line.partition(": ")[2] for line in lines}
    assert all(line.startswith("/node.conf:") for line in lines)


def test_every_fault_is_said_at_once(folder: Path) -> None:
    lines = fault(folder, binding("a", "10.2.0.1") + binding("b", "10.2.0.2")).splitlines()
    assert len(lines) == 2


def test_preferences_by_short_and_full_name_are_equal(folder: Path) -> None:
    text = binding("a", "10.1.1.1", "Enable_Duravip = on Duravip_Preference = east1") + listen(
        "10.1.1.1:25", "Enable_Duravip = on Duravip_Preference = east1.example.com"
    )
    assert vips(folder, text)["10.1.1.1"].preference == "east1"


def test_shares_survive_being_told_to_others(folder: Path) -> None:
    shares = {each.address: each.share for each in vips(folder, binding("ä b", "10.1.1.1")).values()}
    shares["10.1.1.2"] = Share(follows="10.1.1.1", preference="east1")
    assert from_json(to_json(shares)) == shares
    assert to_json(shares) == to_json(dict(reversed(shares.items())))
    assert from_json(to_json(shares)) is from_json(to_json(shares)), "thousands of nodes state the same"


@pytest.mark.parametrize("text", ["", "{}x", "[1]", '[["10.1.1.1"]]', "[" * 100_000, '[["a", 1, 2, 3, 4]]'])
def test_shares_that_nobody_could_have_told_are_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        from_json(text)


@pytest.mark.parametrize(
    ("line", "touches"),
    [
        ("config set Binding new Bind_Address 10.1.1.1", True),
        ("config unset Binding old", True),
        ("config set ESMTP_Listener Listen 10.1.1.1:25 Enable_Duravip on", True),
        ("config set Cluster arp_all_hosts false", True),
        ("config set Duravip_Preference east1", True),
        ("config set Control_Listener Timeout 7", False),
    ],
)
def test_vips_are_reread_if_a_change_may_matter(folder: Path, line: str, touches: bool) -> None:
    console = Console(store_of(folder, binding("old", "10.1.1.9")))
    seen: list[bool] = []

    async def see(proposal: Proposal) -> Prepared:
        seen.append(touches_vips(proposal.changes))
        return NOTHING

    console.store.on_change = see
    console.ok(line)
    assert seen == [touches]


def test_the_schemas_defaults_are_those_of_the_options() -> None:
    assert duravip_options(Store.open(None).view()) == DuravipOptions()


def test_options_follow_the_file(folder: Path) -> None:
    text = 'cluster { view_mature_time = 2m plumber = EXEC plumber_program = "/p" fence = none announce_refresh = 0 }'
    options = duravip_options(store_of(folder, text).view())
    assert (options.view_mature_time_s, options.announce_refresh_s) == (120.0, 0.0)
    assert (options.plumber, options.plumber_program, options.fence) == (PlumberKind.EXEC, "/p", FenceKind.NONE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plumber = tape", "plumber is 'tape', expected auto or netlink or exec or memory"),
        ("fence = wood", "fence is 'wood', expected auto or nftables or valid_lft or none"),
        ("plumber = exec", "plumber is exec, expected a plumber_program"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(folder: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"node\.conf:1:\d+: {said}"):
        duravip_options(store_of(folder, f"cluster {{ {text} }}").view())

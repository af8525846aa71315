"""The commands about floating addresses, typed as an operator types them."""

import json
import xml.etree.ElementTree as ET

import pytest

from eccmgr.commands.answer import Status
from eccmgr.commands.completion import Known, complete
from eccmgr.commands.table import describe, overview
from eccmgr.duravip.shares import Share
from tests.unit.duravip.memory import Cluster
from tests.unit.duravip.situations import address, alike

A, B, C, D = (address(each) for each in range(1, 5))
SHARES = {
    A: Share(("duravip-1",), "east1"),
    B: Share(("Mail-Out",)),
    C: Share((), None, B),
    D: Share(("duravip-4", "east2")),
}


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(alike("east1 east2 west1", SHARES))
    made.owners = {A: "east2", B: "east1", C: "east1"}
    made.epochs = {A: 4, B: 1, C: 2}
    return made


def test_show_lists_owner_state_epoch_and_preference(cluster: Cluster) -> None:
    shown = cluster.console("east1").ok("show")
    assert shown.startswith(
        "DuraVIP State:\n"
        "10.1.1.1/duravip-1: (owned,safe) epoch 4\n"
        "\t[view stable for 5420 seconds]\n"
        "\t[configuration stable for 5409 seconds]\n"
        " *  \teast2\n"
        "    \teast1 (preferred)\n"
        "    \twest1\n"
        "10.1.1.2/Mail-Out: (owned,safe) epoch 1\n"
    )
    assert "\n10.1.1.3: (owned,safe) epoch 2\n" in shown
    assert "\n\t[follows 10.1.1.2]\n *  \teast1\n" in shown
    assert shown.endswith("10.1.1.4/duravip-4,east2: (unowned,safe) epoch 0\n"
        "\t[view stable for 5420 seconds]\n\t[configuration stable for 5409 seconds]\n"
        "    \teast1\n    \teast2\n    \twest1")  # fmt: skip


def test_show_reports_disagreements_and_drained_nodes(cluster: Cluster) -> None:
    cluster.stated = {**cluster.stated, "west1": {A: Share(("duravip-1",), "west1")}}
    cluster.drained = frozenset({"east1"})
    shown = cluster.console("east1").ok("show")
    assert "10.1.1.1/duravip-1: (owned,CONFLICT) epoch 4\n" in shown
    assert "\t[its preferences differ: east1 (east[1-2]), west1 (west1)]\n" in shown
    assert "    \teast1 (drained)\n" in shown


def test_show_in_json_has_the_same_as_fields(cluster: Cluster) -> None:
    first, *_ = json.loads(cluster.console("west1").reply("json cluster duravip show").body)["vips"]
    assert (first["address"], first["names"], first["owner"], first["epoch"]) == (A, ["duravip-1"], "east2", 4)
    assert (first["ownership"], first["agreement"], first["preferred"]) == ("owned", "safe", "east1")


def test_tables_parse_with_every_participants_view(cluster: Cluster) -> None:
    text = cluster.console("east1").ok("show tables")
    root = ET.fromstring(f"<all>{text}</all>")
    for group in ("group_vips_by_name", "group_vips_by_ip"):
        vips = root.findall(f"VIPStateTable/{group}/VIPs/VIP")
        found = {vip.findtext("Name"): vip for vip in vips}
        assert set(found) == {"duravip-1", "Mail-Out", "10.1.1.3", "duravip-4", "east2"}
        first = found["duravip-1"]
        assert [(child.tag, child.text) for child in first][:5] == [
            ("Name", "duravip-1"), ("IP", A), ("State", "owned,safe"), ("Epoch", "4"), ("Last_View_Change", "5420"),
        ]  # fmt: skip
        views = first.findall("ViewsForParticipants/ParticipantView")
        assert [[(child.tag, child.text) for child in view] for view in views][1] == [
            ("Private_Name", "#ec0-1#east2"), ("Private_Name", "#ec1-1#east2"),
            ("Name", "duravip-1"), ("IP", A), ("State", "owned,safe"),
        ]  # fmt: skip
        assert len(views) == 3
    by_name = [vip.findtext("Name") for vip in root.findall("VIPStateTable/group_vips_by_name/VIPs/VIP")]
    by_ip = [vip.findtext("IP") for vip in root.findall("VIPStateTable/group_vips_by_ip/VIPs/VIP")]
    assert by_name == ["10.1.1.3", "duravip-1", "duravip-4", "east2", "Mail-Out"]
    assert by_ip == [A, B, C, D, D]


def test_tables_survive_names_that_xml_has_to_escape(cluster: Cluster) -> None:
    cluster.stated = alike("east1", {A: Share(("<a&b>",))})
    root = ET.fromstring(cluster.console("east1").ok("show tables"))
    assert {name.text for name in root.iter("Name")} == {"<a&b>"}


def test_each_node_answers_its_part_of_a_move(cluster: Cluster) -> None:
    line = "move 10.1.1.1 to west1"
    assert cluster.console("east2").ok(line) == "10.1.1.1 released (epoch 4)"
    assert cluster.console("west1").ok(line) == "10.1.1.1 plumbed on eth1 (epoch 5), 38 ms"
    assert cluster.console("east1").ok(line) == "not concerned"
    assert cluster.owners[A] == "west1"


@pytest.mark.parametrize("line", [
    "move 10.1.1.1 to west1", "move duravip-1 to WEST1", "move DuraVIP-1 TO west1.example.com",
])  # fmt: skip
def test_vip_and_node_are_found_by_every_name(cluster: Cluster, line: str) -> None:
    cluster.console("east2").ok(line)
    assert cluster.pins == {A: "west1"}


def test_a_name_with_a_blank_is_quoted(cluster: Cluster) -> None:
    cluster.stated = alike("east1 east2", {A: Share(("my vip",))})
    cluster.console("east1").ok('move "my vip" to east2')
    assert cluster.pins == {A: "east2"}


def test_to_may_be_left_out_of_a_move(cluster: Cluster) -> None:
    cluster.console("east2").ok("move 10.1.1.1 west1")
    cluster.console("east1").ok("move east1 west1")
    assert cluster.pins == {A: "west1", B: "west1", C: "west1"}


@pytest.mark.parametrize(
    ("node", "line", "said"),
    [
        ("west1", "move 10.1.1.1 to west1", "10.1.1.1 stays: its owner east2 was not told; use: broadcast "),
        ("east1", "move 10.1.1.1 to west1", "10.1.1.1 stays: its owner east2 was not told; use: broadcast "),
        ("east1", "move duravip-1 home", "10.1.1.1 stays: its owner east2 was not told; use: broadcast "),
        ("east2", "move 10.1.1.1 to west1", None),
        ("west1", "move Mail-Out home", "10.1.1.2 stays: its owner east1 was not told; use: broadcast "),
        ("west1", "move 10.1.1.4 to east1", "10.1.1.4 stays: it has no owner, and east1 was not told; use: broadcast "),
        ("west1", "move east1 to west1", "east1 was not told to give up its VIPs; use: broadcast "),
    ],
)
def test_move_told_to_one_node_needs_the_owner(cluster: Cluster, node: str, line: str, said: str | None) -> None:
    console = cluster.console(node, alone=True)
    if said is None:
        console.ok(line)
    else:
        assert console.refused(line) == f"{said}cluster duravip {line}"
        assert not cluster.pins


@pytest.mark.parametrize("line", ["move 10.1.1.1 to west1", "move 10.1.1.1 home", "drain east1", "undrain east1"])
def test_a_node_without_vips_is_not_concerned(line: str) -> None:
    assert Cluster({}).console("plain").ok(line) == "not concerned"


def test_what_follows_moves_along(cluster: Cluster) -> None:
    cluster.console("east1").ok("move Mail-Out to west1")
    cluster.console("west1").ok("move Mail-Out to west1")
    assert (cluster.owners[B], cluster.owners[C]) == ("west1", "west1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("move 10.1.1.9 to east1", "Unknown VIP or node '10.1.1.9'; known: east[1-2],west1"),
        ("move 10.1.1.1 to nobody", "Unknown node 'nobody'; known: east[1-2],west1"),
        ("move 10.1.1.3 to east2", "10.1.1.3 stays: it follows 10.1.1.2; move that"),
        ("move east2 to east1", "'east2' is both a VIP and a node; give the VIP's address"),
        ("move west1 to west1", "Both are west1"),
        ("move nothing home", "Unknown VIP 'nothing'; known: duravip-[1,4],east2,Mail-Out"),
    ],
)
def test_impossible_move_is_refused_with_the_reason(cluster: Cluster, line: str, said: str) -> None:
    assert cluster.console("east1").refused(line) == said
    assert not cluster.pins


def test_node_that_cannot_carry_gets_no_vip(cluster: Cluster) -> None:
    cluster.stated = {**cluster.stated, "west1": {A: SHARES[A], B: SHARES[B]}}
    cluster.unable = {"east1": {A: "eth1 is down"}}
    cluster.drained = frozenset({"east2"})
    console = cluster.console("east2")
    assert console.refused("move Mail-Out to west1") == (
        "10.1.1.2 stays: west1 takes no part in 10.1.1.3; its nodes: east[1-2]"
    )
    assert console.refused("move 10.1.1.1 to east1") == "10.1.1.1 stays: east1 cannot carry 10.1.1.1 now: eth1 is down"
    assert console.refused("move 10.1.1.1 to east2") == "east2 is drained; see cluster duravip undrain"


def test_participants_learn_why_a_node_cannot_carry(cluster: Cluster) -> None:
    why = "it may not change addresses"
    cluster.unable = {"east1": dict.fromkeys(SHARES, why), "east2": {A: "eth1 is down"}}
    planned = cluster.console("west1").ok("plan")
    assert planned.endswith(
        "Nodes that cannot carry all their VIPs: 2\n"
        f"  east1: takes no part: {why}\n"
        "  east2: cannot carry 10.1.1.1: eth1 is down"
    )
    shown = cluster.console("west1").ok("show")
    assert f"    \teast1 (preferred, cannot carry it: {why})\n" in shown
    assert " *  \teast2 (cannot carry it: eth1 is down)\n" in shown


def test_a_broken_vip_does_not_move(cluster: Cluster) -> None:
    cluster.stated = {"east1": {A: Share(("one",))}, "east2": {A: Share(("two",))}}
    assert cluster.console("east1").refused("move one to east2") == (
        "10.1.1.1 stays: it is BROKEN (its names differ: one (east1), two (east2))"
    )


def test_name_with_several_addresses_must_be_distinguished(cluster: Cluster) -> None:
    cluster.stated = {"east1": {A: Share(("one",)), B: Share(("One",))}}
    assert cluster.console("east1").refused("move ONE to east1") == (
        "VIP 'ONE' fits several: 10.1.1.1, 10.1.1.2; give the address"
    )


def test_whole_node_moves_except_what_cannot(cluster: Cluster) -> None:
    cluster.owners = dict.fromkeys(SHARES, "west1")
    cluster.stated = {**cluster.stated, "east1": {each: SHARES[each] for each in (A, B, C)}}
    replied = cluster.console("west1").reply("cluster duravip move west1 to east1")
    assert replied.answer.status is Status.PARTIAL
    assert replied.body.splitlines() == [
        "10.1.1.1 released (epoch 4)",
        "10.1.1.2 released (epoch 1)",
        "10.1.1.3 released (epoch 2)",
        "10.1.1.4 stays: east1 takes no part in 10.1.1.4; its nodes: east2,west1",
    ]
    assert cluster.console("east1").ok("move west1 to east1") == "not concerned"


def test_home_ends_the_stay_and_returns_the_vip(cluster: Cluster) -> None:
    cluster.console("east2").ok("move 10.1.1.1 to east2")
    assert not cluster.console("east2").reply("cluster duravip plan").body.count("10.1.1.1/")
    assert cluster.console("east2").ok("move 10.1.1.1 home") == "10.1.1.1 released (epoch 4)"
    assert cluster.console("east1").ok("move 10.1.1.1 HOME") == "10.1.1.1 plumbed on eth1 (epoch 5), 38 ms"
    assert cluster.console("east1").ok("move 10.1.1.1 home") == "10.1.1.1 is at home on east1"


@pytest.mark.parametrize("line", ["move", "move a", "move a b c", "move a to", "move a to b c", "move a home now"])
def test_a_move_with_other_words_answers_its_usage(cluster: Cluster, line: str) -> None:
    answer = cluster.console("east1").reply(f"cluster duravip {line}").answer
    assert (answer.text, answer.usage) == (
        "Usage: cluster duravip move VIP to NODE | NODE to NODE | VIP home", True,
    )  # fmt: skip


def test_announce_says_who_agreed(cluster: Cluster) -> None:
    cluster.agreed = ("east1", "east2", "west1")
    assert cluster.console("east1").ok("announce view") == "View 18 announced; agreed by 3 of 3 nodes"
    cluster.agreed = ("east1",)
    replied = cluster.console("east1").reply("cluster duravip announce view")
    assert replied.body == "View 18 announced; agreed by 1 of 3 nodes; not by east2,west1"
    assert replied.answer.status is Status.PARTIAL


def test_plan_explains_moves_and_makes_none(cluster: Cluster) -> None:
    cluster.owners = before = {A: "east2", B: "west1", C: "west1"}
    assert cluster.console("west1").ok("plan").splitlines() == [
        "At once: 1 VIP",
        "  10.1.1.4/duravip-4,east2: nobody → east2 (the fewest VIPs)",
        "When the view is mature, in batches: 1 VIP",
        "  10.1.1.1/duravip-1: east2 → east1 (its preferred node)",
    ]
    assert cluster.owners == before


def test_plan_without_a_node_foretells_its_death(cluster: Cluster) -> None:
    cluster.settle()
    assert cluster.console("east1").ok("plan") == "Nothing would move"
    shown = cluster.console("east1").ok("plan without EAST1.example.com")
    assert "10.1.1.1/duravip-1: nobody →" in shown
    assert cluster.console("east1").refused("plan without") == "Usage: cluster duravip plan [without TARGET]"
    assert cluster.console("east1").refused("plan without x").startswith("Unknown node 'x'")


def test_plan_names_uncarried_and_broken_vips(cluster: Cluster) -> None:
    cluster.stated = {
        "east1": {A: Share(("one",)), B: Share(("b",))},
        "east2": {A: Share(("two",))},
    }
    cluster.owners = {A: "east2", B: "east1"}
    cluster.drained = frozenset({"east1"})
    assert cluster.console("east2").ok("plan").splitlines() == [
        "Nothing would move",
        "Not possible: 1 VIP",
        "  10.1.1.2/b: stays on east1 (east1 is drained)",
        "Not managed: 1 VIP",
        "  10.1.1.1/one,two: stays on east2 (its names differ: one (east1), two (east2))",
    ]
    found = json.loads(cluster.console("east2").reply("json cluster duravip plan").body)
    assert (found["moves"], set(found["stranded"]), set(found["unmanaged"])) == ([], {B}, {A})


def test_drained_node_gives_up_all_until_undrained(cluster: Cluster) -> None:
    cluster.owners = {A: "east1"}
    lines = cluster.console("east1").ok("drain EAST1").splitlines()
    assert lines == ["east1 is drained", "10.1.1.1 released (epoch 4)"]
    assert "east1" not in {move.split("→ ")[1].split()[0] for move in cluster.console("east2").ok("plan").splitlines()
        if "→" in move}  # fmt: skip
    assert cluster.console("west1").ok("undrain east1") == "east1 is no longer drained"
    assert cluster.console("west1").ok("undrain east1") == "east1 is not drained"


def test_nodes_of_a_target_are_drained_together(cluster: Cluster) -> None:
    assert cluster.console("west1").ok("drain @east").splitlines()[0] == "east[1-2] are drained"
    assert cluster.drained == {"east1", "east2"}
    assert cluster.console("west1").ok("undrain @all!east2") == "east1 is no longer drained"
    assert cluster.console("west1").refused("drain @north") == "Unknown subcluster 'north'; known: east,west"
    assert cluster.console("west1").refused("drain !east1").startswith("'!east1' is not a TARGET: ")


def test_plan_shows_the_loss_of_a_whole_target(cluster: Cluster) -> None:
    cluster.owners = {A: "east2", B: "east1", C: "east1"}
    planned = cluster.console("west1").ok("plan without @east")
    assert "→ east" not in planned
    assert "→ west1" in planned


def test_drained_node_keeps_vips_only_it_can_carry(cluster: Cluster) -> None:
    cluster.stated = {"east1": {A: Share(("one",))}, "east2": {}}
    cluster.owners = {A: "east1"}
    replied = cluster.console("east1").reply("cluster duravip drain east1")
    assert replied.body.splitlines() == ["east1 is drained", "10.1.1.1 stays: no other node can carry it now"]
    assert cluster.console("east2").ok("drain east1") == "east1 is drained"


def test_debug_is_switched(cluster: Cluster) -> None:
    assert cluster.console("east1").ok("debug ON") == "DuraVIP debug is on"
    assert cluster.console("east1").ok("debug off") == "DuraVIP debug is off"
    assert cluster.console("east1").refused("debug maybe") == "Usage: cluster duravip debug on|off"
    assert cluster.debug == [True, False]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", ["announce", "debug", "drain", "move", "plan", "show", "undrain"]),
        ("show ", ["tables"]),
        ("announce ", ["view"]),
        ("move ", ["10.1.1.1", "duravip-1", "east1", "west1"]),
        ("move d", ["duravip-1"]),
        ("move x ", ["home", "to"]),
        ("move x to ", ["east1", "west1"]),
        ("move x to y ", []),
        ("move x home ", []),
        ("plan ", ["without"]),
        ("plan without w", ["west1"]),
        ("drain e", ["east1"]),
        ("drain @", ["@all"]),
        ("debug ", ["off", "on"]),
    ],
)
def test_the_words_that_may_follow(cluster: Cluster, line: str, found: list[str]) -> None:
    known = Known(nodes=("east1", "west1"), vips=("duravip-1", "10.1.1.1"))
    assert complete(cluster.console("east1").table, f"cluster duravip {line}", known) == found


def test_help_has_every_command_of_the_family(cluster: Cluster) -> None:
    table = cluster.console("east1").table
    assert len(overview(table).splitlines()) == 8
    assert "Usage: cluster duravip plan [without TARGET]" in describe(table, "cluster duravip")

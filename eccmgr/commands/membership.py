"""Renders the list of members: as XML, as text, in one line."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from eccmgr.cluster.members import NULL, Member, Membership, Role
from eccmgr.cluster.names import natural
from eccmgr.commands.answer import xml_attribute, xml_text
from eccmgr.text.counting import counted

_UNKNOWN_SHOWN = 5


def as_xml(cluster: str, membership: Membership, unknown: Mapping[str, str]) -> str:
    """The answer of `show cluster membership`. `unknown` has the private names of the nodes that nobody has certified,
    with the reasons."""
    head = f'<ClusterMembership cluster={xml_attribute(cluster)} view="{membership.view}">'
    return "\n".join(
        (
            head,
            *(_member_xml(member, _reason(member, unknown)) for member in membership.members),
            "</ClusterMembership>",
        )
    )


def as_text(membership: Membership) -> str:
    """The answer of a node's `cluster membership`."""
    return "\n\n".join(
        "\n".join(
            (
                f"Private Name: {member.private_name}",
                f"Node Name: {member.node_name or NULL}",
                f"Subcluster: {member.subcluster or NULL}",
                f"Node Type: {member.role.value}",
                f"Version: {member.version}",
                f"Address: {member.address}",
                f"Groups: {', '.join(member.groups)}",
            )
        )
        for member in membership.members
    )


def _member_xml(member: Member, unknown: str) -> str:
    groups = "".join(f"<Group>{xml_text(group)}</Group>" for group in member.groups)
    fields = (
        ("Private_Name", member.private_name),
        ("Node_Name", member.node_name or NULL),
        ("Subcluster", member.subcluster or NULL),
        ("Node_Type", member.role.value),
        ("Version", member.version),
        ("Address", member.address),
    )
    lines = [f"    <{name}>{xml_text(value)}</{name}>" for name, value in fields]
    begin = f"  <Member unknown={xml_attribute(unknown)}>" if unknown else "  <Member>"
    return "\n".join((begin, *lines, f"    <Groups>{groups}</Groups>", "  </Member>"))


def member_facts(member: Member, unknown: Mapping[str, str]) -> dict[str, Any]:
    """The JSON form of a member, with `unknown` if nobody has certified it."""
    reason = _reason(member, unknown)
    return {**member.facts(), "unknown": reason} if reason else member.facts()


def unknown_nodes(unknown: Mapping[str, str]) -> str:
    """The nodes that nobody has certified: `west9 (it has shown no certificate)`."""
    listed = sorted(unknown, key=natural)
    more = [f"and {len(listed) - _UNKNOWN_SHOWN} more"] if len(listed) > _UNKNOWN_SHOWN else []
    return ", ".join([*(f"{node} ({unknown[node]})" for node in listed[:_UNKNOWN_SHOWN]), *more])


def _reason(member: Member, unknown: Mapping[str, str]) -> str:
    return unknown.get(member.private_name, "") if member.node_name else ""


def member_counts(members: Sequence[Member]) -> dict[str, Any]:
    """The number of members of each kind, and of the nodes of each subcluster."""
    number = Counter(member.role for member in members)
    sizes = _sizes(members)
    return {
        "nodes": number[Role.NODE],
        "managers": number[Role.MANAGER],
        "other": number[Role.OTHER],
        "subclusters": dict(sizes[key] for key in sorted(sizes, key=natural)),
    }


def _sizes(members: Sequence[Member]) -> dict[str, tuple[str, int]]:
    """For each subcluster in small letters: its name as first spelt, and the number of its nodes."""
    sizes: dict[str, tuple[str, int]] = {}
    for member in members:
        if member.role is Role.NODE and member.subcluster:
            spelt, size = sizes.get(member.subcluster.lower(), (member.subcluster, 0))
            sizes[member.subcluster.lower()] = (spelt, size + 1)
    return sizes


def summary(counts: Mapping[str, Any]) -> str:
    """The counts of `member_counts` in words: `6 nodes, 2 managers, 0 other, in 2 subclusters (east 4, west 2)`."""
    sizes = counts["subclusters"]
    listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
    where = f", in {counted(len(sizes), 'subcluster')} ({listed})" if sizes else ""
    return (
        f"{counted(counts['nodes'], 'node')}, {counted(counts['managers'], 'manager')}, {counts['other']} other{where}"
    )

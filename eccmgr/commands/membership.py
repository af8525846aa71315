"""Renders the list of members: as XML, as text, in one line."""

from collections.abc import Sequence

from eccmgr.cluster.members import NULL, Member, Membership, Role
from eccmgr.cluster.names import natural
from eccmgr.commands.answer import xml_attribute, xml_text
from eccmgr.text.counting import counted


def as_xml(cluster: str, membership: Membership) -> str:
    """The answer of `show cluster membership`."""
    head = f'<ClusterMembership cluster={xml_attribute(cluster)} view="{membership.view}">'
    return "\n".join((head, *(_member_xml(member) for member in membership.members), "</ClusterMembership>"))


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


def _member_xml(member: Member) -> str:
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
    return "\n".join(("  <Member>", *lines, f"    <Groups>{groups}</Groups>", "  </Member>"))


def summary(members: Sequence[Member]) -> str:
    """The number of members of each kind: `6 nodes, 2 managers, 0 other, in 2 subclusters (east 4, west 2)`."""
    sizes: dict[str, tuple[str, int]] = {}
    for member in members:
        if member.role is Role.NODE and member.subcluster:
            spelt, size = sizes.get(member.subcluster.lower(), (member.subcluster, 0))
            sizes[member.subcluster.lower()] = (spelt, size + 1)
    nodes = sum(member.role is Role.NODE for member in members)
    managers = sum(member.role is Role.MANAGER for member in members)
    listed = ", ".join(f"{name} {size}" for name, size in (sizes[key] for key in sorted(sizes, key=natural)))
    where = f", in {counted(len(sizes), 'subcluster')} ({listed})" if sizes else ""
    return f"{counted(nodes, 'node')}, {counted(managers, 'manager')}, {len(members) - nodes - managers} other{where}"

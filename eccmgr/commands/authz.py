"""The commands about roles: the caller's own, and all of them."""

from xml.etree import ElementTree as ET

from eccmgr.commands.answer import Answer
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Call, Command


def authz_commands(gate: Gate) -> tuple[Command, ...]:
    """`authz id` and `authz roles list`."""

    async def own(call: Call) -> Answer:
        user = call.caller.user
        roles = [role for role in gate.policy.roles_of(user) if role != user or role in gate.policy.roles]
        element = ET.Element("AuthzInformation", username=user)
        element.append(_roles(roles))
        return Answer(ET.tostring(element, encoding="unicode"), facts={"user": user, "roles": roles})

    async def listed(_call: Call) -> Answer:
        roles = list(gate.policy.roles)
        return Answer(ET.tostring(_roles(roles), encoding="unicode"), facts={"roles": roles})

    return (
        Command("authz id", "who you are, and your roles, in XML", own, idempotent=True),
        Command("authz roles list", "the roles that are configured, in XML", listed, idempotent=True),
    )


def _roles(names: list[str]) -> ET.Element:
    element = ET.Element("Roles")
    for name in names:
        ET.SubElement(element, "Role", name=name)
    return element

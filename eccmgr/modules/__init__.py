"""What a module is made of: import from here to write one.

A module is a class with options and commands. It is found by an entry point of the group `eccmgr.modules`, whose name
is its scope, and loaded for each such scope that a configuration has.
"""

from eccmgr.commands.answer import Answer, Status
from eccmgr.commands.table import Call
from eccmgr.config.option_types import OptionType
from eccmgr.config.schema import OptionSpec
from eccmgr.errors import CommandError, ConfigError, UsageError
from eccmgr.modules.api import API, Context, Module
from eccmgr.modules.functions import Rest, Takes, command

__all__ = [
    "API",
    "Answer",
    "Call",
    "CommandError",
    "ConfigError",
    "Context",
    "Module",
    "OptionSpec",
    "OptionType",
    "Rest",
    "Status",
    "Takes",
    "UsageError",
    "command",
]

"""The names with which a module is written.

A module is a class with options and commands. An entry point of the group `eccmgr.modules` announces it under the name
of its scope, and a daemon loads one instance for each scope of that name in its configuration.
"""

from eccmgr.commands.answer import Answer, Status
from eccmgr.commands.table import Call
from eccmgr.config.schema.spec import OptionSpec
from eccmgr.config.schema.types import OptionType
from eccmgr.errors import CommandError, ConfigError, UsageError
from eccmgr.modules.api import API, Context, Module
from eccmgr.modules.functions import Rest, Takes, command
from eccmgr.series.counting import Series

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
    "Series",
    "Status",
    "Takes",
    "UsageError",
    "command",
]

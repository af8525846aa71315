"""Commands about a daemon's process and its host, which managers and nodes have alike."""

import asyncio
import os
import platform

import psutil

from eccmgr.commands.answer import Answer
from eccmgr.commands.standing import Age
from eccmgr.commands.table import Call, Command, prompt

_MIB = 1024 * 1024


def process_commands(age: Age) -> tuple[Command, ...]:
    """The commands `pid`, `uptime`, `sysinfo` and `memory`."""
    return (
        prompt("pid", "the process id", lambda: str(os.getpid()), is_open=True, facts=lambda: {"pid": os.getpid()}),
        prompt(
            "uptime",
            "how long this process has been up",
            lambda: f"up {age}",
            is_open=True,
            facts=lambda: {"seconds": round(age.seconds, 3)},
        ),
        Command("sysinfo", "the host: system, processors, load, memory", _sysinfo, idempotent=True),
        Command("memory", "the memory that this process uses", _memory, idempotent=True),
    )


async def _sysinfo(_call: Call) -> Answer:
    return await asyncio.to_thread(_host)


async def _memory(_call: Call) -> Answer:
    return await asyncio.to_thread(_used)


def _host() -> Answer:
    memory, load = psutil.virtual_memory(), os.getloadavg()
    text = "\n".join(
        (
            f"Host: {platform.node()}",
            f"System: {platform.system()} {platform.release()} {platform.machine()}",
            f"Python: {platform.python_version()}",
            f"Processors: {os.cpu_count()}",
            f"Load: {' '.join(f'{value:.2f}' for value in load)}",
            f"Memory: {memory.total // _MIB} MiB, {memory.available // _MIB} MiB available",
        )
    )
    facts = {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load": [round(value, 2) for value in load],
        "memory_bytes": memory.total,
        "available_bytes": memory.available,
    }
    return Answer(text, facts=facts)


def _used() -> Answer:
    used = psutil.Process().memory_info()
    text = f"Resident: {used.rss / _MIB:.1f} MiB\nVirtual: {used.vms / _MIB:.1f} MiB"
    return Answer(text, facts={"resident_bytes": used.rss, "virtual_bytes": used.vms})

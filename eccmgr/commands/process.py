"""Commands about a daemon's process and its host, which managers and nodes have alike."""

import asyncio
import os
import platform

import psutil

from eccmgr.commands.answer import Answer
from eccmgr.commands.standing import Age
from eccmgr.commands.table import Call, Command, prompt
from eccmgr.host.cgroup import group_limits

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
        Command("sysinfo", "the host or container: system, processors, load, memory", _sysinfo, idempotent=True),
        Command("memory", "the memory that this process uses", _memory, idempotent=True),
    )


async def _sysinfo(_call: Call) -> Answer:
    return await asyncio.to_thread(_host)


async def _memory(_call: Call) -> Answer:
    return await asyncio.to_thread(_used)


def _host() -> Answer:
    """The host, as far as this process may use it: a container has less than its host."""
    memory, load, here = psutil.virtual_memory(), os.getloadavg(), len(os.sched_getaffinity(0))
    limits = group_limits(memory.total)
    processors = here if limits.processors is None else min(here, limits.processors)
    total, available = memory.total, memory.available
    if limits.memory_bytes is not None:
        total = limits.memory_bytes
        available = max(0, min(available, total - limits.used_bytes))
    of_host = f" (of {os.cpu_count()} of the host)" if processors != os.cpu_count() else ""
    of_all = f" (of {memory.total // _MIB} MiB of the host)" if total != memory.total else ""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    text = "\n".join(
        (
            f"Host: {platform.node()}",
            f"System: {system}",
            f"Python: {platform.python_version()}",
            f"Processors: {processors:g}{of_host}",
            f"Load: {' '.join(f'{value:.2f}' for value in load)}",
            f"Memory: {total // _MIB} MiB, {available // _MIB} MiB available{of_all}",
        )
    )
    facts = {
        "host": platform.node(),
        "system": system,
        "python": platform.python_version(),
        "processors": processors,
        "load": [round(value, 2) for value in load],
        "memory_bytes": total,
        "available_bytes": available,
        "host_processors": os.cpu_count(),
        "host_memory_bytes": memory.total,
    }
    return Answer(text, facts=facts)


def _used() -> Answer:
    used = psutil.Process().memory_info()
    limits = group_limits(psutil.virtual_memory().total)
    text = f"Resident: {used.rss / _MIB:.1f} MiB\nVirtual: {used.vms / _MIB:.1f} MiB"
    facts = {"resident_bytes": used.rss, "virtual_bytes": used.vms}
    if limits.memory_bytes is not None:
        text += f"\nControl group: {limits.used_bytes / _MIB:.1f} of {limits.memory_bytes / _MIB:.1f} MiB"
        facts |= {"group_bytes": limits.used_bytes, "group_limit_bytes": limits.memory_bytes}
    return Answer(text, facts=facts)

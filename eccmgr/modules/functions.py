"""Makes commands of Python functions: the parameters become words, and the returned or yielded value the answer."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import structlog

from eccmgr.commands.answer import Answer
from eccmgr.commands.danger import Danger
from eccmgr.commands.table import Call, Carries, Command, Handler, Param
from eccmgr.errors import CommandError, UsageError

log = structlog.get_logger()

F = TypeVar("F", bound=Callable[..., Any])

_DECLARED = "__eccmgr_command__"
_OUTPUT_MAX = 16 * 1024 * 1024
# Modules have threads of their own: slow functions must not take the threads in which the daemon reads files and places
# VIPs.
_THREADS = ThreadPoolExecutor(32, "module")
_EXPECTED = {int: "a whole number", float: "a number", bool: "on or off"}
_BOOLEANS = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Takes:
    """The values of a parameter, in `Annotated[str, Takes(…)]`.

    `rest`: the parameter, which must be the last, takes all following text exactly as typed. `choices`: the words that
    the Tab key offers, or a function that returns them: a method of the module or, outside of one, without arguments.
    """

    rest: bool = False
    choices: tuple[str, ...] | Callable[..., Iterable[str]] = ()


Rest = Annotated[str, Takes(rest=True)]
"""The type of a parameter that takes all following text, exactly as typed."""


@dataclass(frozen=True)
class Declared:
    """The command that `@command` declares for a function."""

    name: str
    brief: str
    about: str
    idempotent: bool
    serial: bool
    long: bool
    danger: Danger
    reads: bool
    retries: int
    timeout_s: float | None
    carries: Carries | None


def command(
    name: str,
    brief: str,
    *,
    about: str = "",
    idempotent: bool = False,
    serial: bool = False,
    long: bool = False,
    danger: bool | Danger = Danger.NONE,
    reads: bool = False,
    retries: int = 0,
    timeout_s: float | None = None,
    carries: Carries | None = None,
) -> Callable[[F], F]:
    """Make a function or method a command.

    Its parameters take words in order: `str`, `int`, `float`, `bool` or `Annotated` of them. A parameter with a default
    is optional; a `Call` gets the call itself. A plain function runs in a thread, which goes on if its caller stops
    waiting; it may also be `async`. It returns a text, an `Answer` or None, or yields lines, which a waiting console
    shows as they arrive.

    `idempotent`: running it twice is harmless. `serial`: one call runs at a time. `long`: it becomes a job in a process
    of its own, for at most `timeout_s` seconds, with `retries` more attempts if the process dies. `danger`: help and
    log warn of it, and a console asks before it. `reads`: it changes nothing, so that a read-only console may send it.
    `carries`: where the command that it carries runs; it passes that command through `Call.carry`.
    """
    declared = Declared(
        name, brief, about, idempotent, serial, long, Danger(danger), reads, retries, timeout_s, carries
    )

    def declare(function: F) -> F:
        setattr(function, _DECLARED, declared)
        return function

    return declare


def commands_of(module: object, prefix: str) -> Iterator[Command]:
    """The commands of the methods of `module`, in their order, with names that begin with `prefix`."""
    for name in dict.fromkeys(name for kind in reversed(type(module).__mro__) for name in vars(kind)):
        if getattr(inspect.getattr_static(module, name), _DECLARED, None) is not None:
            yield as_command(getattr(module, name), prefix, module)


def as_command(function: Callable[..., Any], prefix: str = "", owner: object | None = None) -> Command:
    """The command of a function with `@command`. Raises TypeError if a parameter cannot be a word."""
    declared: Declared = getattr(function, _DECLARED)
    slots = _slots(function, owner)
    name = f"{prefix} {declared.name}".strip()
    # If the caller of a plain function stops waiting, the function goes on. The next call then waits for its thread.
    threads = ThreadPoolExecutor(1, name) if declared.serial else None
    run = _runner(function, threads)
    lock = asyncio.Lock() if declared.serial else contextlib.nullcontext()

    async def handle(call: Call) -> Answer:
        arguments = _arguments(slots, call, name)
        if declared.danger:
            log.warning("dangerous command", command=name, user=call.caller.user)
        async with lock:
            return await run(call, arguments)

    handler: Handler = handle
    return Command(
        name,
        declared.brief,
        handler,
        tuple(slot.param for slot in slots if slot.param is not None),
        about=declared.about,
        idempotent=declared.idempotent and not declared.long,
        long=declared.long,
        danger=declared.danger,
        reads=declared.reads,
        retries=declared.retries,
        timeout_s=declared.timeout_s,
        carries=declared.carries,
    )


@dataclass(frozen=True)
class _Slot:
    """One parameter of a function: its type, and its parameter of the command (None for the call itself)."""

    name: str
    kind: type
    param: Param | None


def _slots(function: Callable[..., Any], owner: object | None) -> list[_Slot]:
    hints = get_type_hints(function, include_extras=True)
    slots = []
    for parameter in inspect.signature(function).parameters.values():
        hint, takes = hints.get(parameter.name, str), Takes()
        if get_origin(hint) is Annotated:
            hint, *extras = get_args(hint)
            takes = next((extra for extra in extras if isinstance(extra, Takes)), takes)
        if hint is Call:
            slots.append(_Slot(parameter.name, Call, None))
            continue
        if hint not in (str, *_EXPECTED) or parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"{function.__qualname__}: {parameter} cannot be a word of a command")
        optional = parameter.default is not inspect.Parameter.empty
        param = Param(
            parameter.name.upper().strip("_"),
            optional=optional,
            rest=takes.rest,
            choices=_choices(takes.choices, owner),
        )
        slots.append(_Slot(parameter.name, hint, param))
    return slots


def _choices(
    choices: tuple[str, ...] | Callable[..., Iterable[str]], owner: object | None
) -> Callable[[], Iterable[str]] | None:
    if callable(choices):
        return (lambda: choices(owner)) if owner is not None else choices
    return (lambda: choices) if choices else None


def _arguments(slots: list[_Slot], call: Call, name: str) -> dict[str, Any]:
    words = iter(call.args)
    arguments: dict[str, Any] = {}
    for slot in slots:
        if slot.param is None:
            arguments[slot.name] = call
        elif (word := next(words, None)) is not None:
            arguments[slot.name] = _converted(word, slot, name)
    return arguments


def _converted(word: str, slot: _Slot, name: str) -> object:
    try:
        if slot.kind is bool:
            return _BOOLEANS[word.lower()]
        return slot.kind(word)
    except (ValueError, KeyError):
        expected = _EXPECTED[slot.kind]
        assert slot.param is not None
        raise UsageError(f"{name}: {slot.param.name} takes {expected}, not '{word[:80]}'") from None


def _runner(
    function: Callable[..., Any], threads: Executor | None
) -> Callable[[Call, dict[str, Any]], Awaitable[Answer]]:
    async def whole(_call: Call, arguments: dict[str, Any]) -> Answer:
        return _answer(await function(**arguments))

    async def threaded(_call: Call, arguments: dict[str, Any]) -> Answer:
        return _answer(await _in_thread(threads, partial(function, **arguments)))

    async def streamed(call: Call, arguments: dict[str, Any]) -> Answer:
        return await _stream(call, function(**arguments))

    async def threaded_stream(call: Call, arguments: dict[str, Any]) -> Answer:
        return await _stream(call, _in_threads(threads, function(**arguments)))

    if inspect.isasyncgenfunction(function):
        return streamed
    if inspect.isgeneratorfunction(function):
        return threaded_stream
    return whole if inspect.iscoroutinefunction(function) else threaded


def _in_thread(threads: Executor | None, work: Callable[[], Any]) -> Awaitable[Any]:
    return asyncio.get_running_loop().run_in_executor(threads or _THREADS, copy_context().run, _without_exit, work)


def _without_exit(work: Callable[[], Any]) -> Any:
    """Do `work`. If it ends its program, as a script does, that does not end the daemon."""
    try:
        return work()
    except SystemExit as ended:
        raise RuntimeError(f"it called sys.exit({ended.code!r})") from ended


async def _in_threads(threads: Executor | None, parts: Iterator[Any]) -> AsyncGenerator[Any, None]:
    end = object()
    while (part := await _in_thread(threads, partial(next, parts, end))) is not end:
        yield part


async def _stream(call: Call, parts: AsyncGenerator[Any, None]) -> Answer:
    """Collect the lines, and pass each on to a console that asked for a stream."""
    emit, lines, size = call.caller.emit, [], 0
    async with contextlib.aclosing(parts):
        async for part in parts:
            line = str(part)
            size += len(line)
            if size > _OUTPUT_MAX:
                raise CommandError(f"The answer is longer than {_OUTPUT_MAX >> 20} MiB")
            lines.append(line)
            if emit is not None:
                await emit({"line": line})
    return Answer("\n".join(lines), tail="" if emit is not None else None)


def _answer(returned: object) -> Answer:
    if isinstance(returned, Answer):
        return returned
    return Answer("" if returned is None else str(returned))

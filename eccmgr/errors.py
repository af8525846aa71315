"""The error tree. Every message is fit for an operator; only the edges turn an error into text.

EccmgrError
├─ CommandError            a command that cannot be carried out
│  ├─ UsageError           its words do not fit its usage
│  └─ NotAvailable         it exists, but not in this release
├─ ConfigError             a configuration that cannot be taken
├─ SettingsError           a flag or an environment variable that makes no sense
├─ FrameError              bytes on a control connection that are no frame
├─ ListenError             an endpoint that cannot be listened on
├─ NoConnection            a control listener that cannot be reached
├─ NoAnswer                a control listener that went away, or kept silent, after a command was sent
├─ TransactionLost         a console's transaction that went with its connection
├─ RedisUnreachable        Redis does not answer
│  ├─ RedisRefuses         Redis answers that it does not do what was asked
│  └─ NothingSent          a command for nodes was certainly not sent
├─ Unreadable              what Redis keeps is not what we wrote
└─ NameInUse               another live process is a member under this name
"""

from collections.abc import Iterator


class EccmgrError(Exception):
    """Anything that eccmgr itself has to say to an operator."""


class CommandError(EccmgrError):
    """Raised when a command was understood but cannot be carried out; the message is its answer."""


class UsageError(CommandError):
    """Raised when a command's words do not fit its usage."""


class NotAvailable(CommandError):
    """Raised by a command that this release knows but does not carry out yet."""


class ConfigError(EccmgrError):
    """Raised when a configuration cannot be read or taken; says where and what was expected."""


class SettingsError(EccmgrError):
    """Raised when a flag or an `ECCMGR_*` variable has a value that makes no sense."""


class FrameError(EccmgrError):
    """Raised when bytes on a control connection are no frame; the message is sent before the close."""


class ListenError(EccmgrError):
    """Raised when an endpoint cannot be listened on: in use, not ours, or not allowed."""


class NoConnection(EccmgrError):
    """Raised by a client when no connection to a control listener can be made; nothing was sent."""


class NoAnswer(EccmgrError):
    """Raised by a client when a command was sent and no answer came: the listener may have carried it out."""


class TransactionLost(EccmgrError):
    """Raised by a client in place of sending a `config` command, where the transaction it was meant for is gone."""


class RedisUnreachable(EccmgrError):
    """Raised at once, without waiting, by all that needs Redis while Redis does not answer.

    With `asked` it may have done what was asked of it; else it did not hear of that.
    """

    def __init__(self, text: str, *, asked: bool = False) -> None:
        super().__init__(text)
        self.asked = asked


class RedisRefuses(RedisUnreachable):
    """Raised where Redis answers that it does not do what was asked of it, for a reason that is not in what was asked.

    Whoever can live with a silent Redis lives with this one. `code` is the first word of the refusal (OOM, NOPERM …);
    with `soon` it passes by itself, else an operator must act. With `whole` every call is refused, not this one alone.
    """

    def __init__(self, text: str, *, code: str, soon: bool, whole: bool = False, asked: bool = False) -> None:
        super().__init__(text, asked=asked)
        self.code = code
        self.soon = soon
        self.whole = whole


class NothingSent(RedisUnreachable):
    """Raised where a command for nodes was certainly not sent: to send it again does not run it twice."""


class Unreadable(EccmgrError):
    """Raised when a record that Redis keeps cannot be read: it is not what we wrote."""


class NameInUse(EccmgrError):
    """Raised when a live process already is a member under the name asked for."""


def unwrapped(error: BaseException) -> BaseException:
    """The one error that a group of errors comes down to, such as tasks that run together end in; else `error` itself.

    A wish to end comes before what failed on the way there, and what failed before the cancelling of the others. Of
    several errors of ours the first is taken; several of which some are faults of the program stay together.
    """
    found = list(single_errors(error))
    for each in found:
        if isinstance(each, KeyboardInterrupt | SystemExit):
            return each
    # Here, for a console that runs one command has no use for it and would wait for it.
    import asyncio

    failed = [each for each in found if not isinstance(each, asyncio.CancelledError)] or found
    if len(failed) == 1 or all(isinstance(each, EccmgrError) for each in failed):
        return failed[0]
    return error


def single_errors(error: BaseException) -> Iterator[BaseException]:
    """What a group of errors holds, and groups within it; else `error` alone."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from single_errors(each)
    else:
        yield error

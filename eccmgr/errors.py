"""The error tree. Every message is for an operator; only the edges turn an error into text.

EccmgrError
├─ CommandError            a command that cannot run
│  ├─ UsageError           its words do not fit its usage
│  ├─ LockedOption         it would change a locked option
│  ├─ NotAvailable         it exists, but this release does not have it yet
│  └─ NotAuthorized        its caller may not run it
├─ ConfigError             a configuration that cannot be used
├─ SettingsError           a flag or an environment variable with an invalid value
├─ FrameError              bytes on a control connection that are not a frame
├─ ListenError             an endpoint that cannot be listened on
├─ NoConnection            a control listener that cannot be reached
│  └─ UntrustedServer      it is served by a stranger
│  ├─ SignInFailed         the sign-in there failed
├─ NoAnswer                a control listener that went away, or did not answer, after a command was sent
│  └─ ConnectionBroke      it went away
├─ TransactionLost         a console's transaction that was lost with its connection
├─ RedisUnreachable        Redis does not answer
│  ├─ RedisRefuses         Redis refuses a call
│  └─ NothingSent          a command for nodes was certainly not sent
├─ Unreadable              a record in Redis that we did not write
└─ NameInUse               another live process is a member under this name
"""

from collections.abc import Iterator


class EccmgrError(Exception):
    """Any error that eccmgr reports to an operator."""


class CommandError(EccmgrError):
    """Raised when a command cannot run; the message is its answer."""


class UsageError(CommandError):
    """Raised when a command's words do not fit its usage."""


class LockedOption(CommandError):
    """Raised when a command would change the locked option or scope `where`; `main` is the file that may."""

    def __init__(self, where: str, main: str | None) -> None:
        file = f"change it in {main} or a file that it includes, then config reload"
        none = "it changes only in files, and this process was started without one (-c FILE)"
        super().__init__(f"{where} is locked: {file if main else none}")


class NotAvailable(CommandError):
    """Raised by a command that this release knows but does not have yet."""


class NotAuthorized(CommandError):
    """Raised when a command's caller may not run it."""


class ConfigError(EccmgrError):
    """Raised when a configuration cannot be read or used; the message has the place, and what was expected."""


class SettingsError(EccmgrError):
    """Raised when a flag or an `ECCMGR_*` variable has an invalid value."""


class FrameError(EccmgrError):
    """Raised when bytes on a control connection are not a frame; the message is sent before the close."""


class ListenError(EccmgrError):
    """Raised when an endpoint cannot be listened on: in use, not ours, or not allowed."""


class NoConnection(EccmgrError):
    """Raised by a client when no connection to a control listener can be made; nothing was sent."""


class SignInFailed(NoConnection):
    """Raised by a client that a listener does not let in, or that does not believe the listener; nothing was sent."""


class UntrustedServer(NoConnection):
    """Raised by a client for a socket that a stranger serves, or could have put in the place of ours."""


class NoAnswer(EccmgrError):
    """Raised by a client when a command was sent but no answer arrived: the listener may have run the command."""


class ConnectionBroke(NoAnswer):
    """Raised by a client whose connection broke after a command was sent."""


class TransactionLost(EccmgrError):
    """Raised by a client that does not send a `config` command because the command's transaction is lost."""


class RedisUnreachable(EccmgrError):
    """Raised at once, without waiting, by every call to Redis while Redis does not answer.

    With `asked`, Redis may have executed the call; without, the call was not sent.
    """

    def __init__(self, text: str, *, asked: bool = False) -> None:
        super().__init__(text)
        self.asked = asked


class RedisRefuses(RedisUnreachable):
    """Raised when Redis refuses a call for a reason that is not in the call itself.

    A caller that copes with a silent Redis copes with this error too. `code` is the first word of the refusal (OOM,
    NOPERM …). With `soon` the refusal passes by itself, else an operator must act. With `whole` Redis refuses every
    call.
    """

    def __init__(self, text: str, *, code: str, soon: bool, whole: bool = False, asked: bool = False) -> None:
        super().__init__(text, asked=asked)
        self.code = code
        self.soon = soon
        self.whole = whole


class NothingSent(RedisUnreachable):
    """Raised when a command for nodes was certainly not sent, so that sending it again cannot run it twice."""


class Unreadable(EccmgrError):
    """Raised when a record in Redis cannot be read, because it is not one that we wrote."""


class NameInUse(EccmgrError):
    """Raised when another live process is a member under this name."""


def unwrapped(error: BaseException) -> BaseException:
    """The one error to report for a group of errors, such as that of a task group; `error` itself if it is not a group.

    A request to end the program comes first, then failures, then cancellations. Of several errors of ours the first one
    is reported; if some of several are faults of the program, they stay together.
    """
    found = list(single_errors(error))
    for each in found:
        if isinstance(each, KeyboardInterrupt | SystemExit):
            return each
    # Imported here: a console that runs one command does not need it, and would wait for it.
    import asyncio

    failed = [each for each in found if not isinstance(each, asyncio.CancelledError)] or found
    if len(failed) == 1 or all(isinstance(each, EccmgrError) for each in failed):
        return failed[0]
    return error


def single_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group and the groups within it; for any other error, that error."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from single_errors(each)
    else:
        yield error

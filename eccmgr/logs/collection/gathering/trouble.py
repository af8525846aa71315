"""The reason why a log cannot be written for now, and when it is tried again. Pure."""

from dataclasses import dataclass

_PAUSE_S, _PAUSE_MAX_S = 1.0, 30.0


@dataclass
class LogTrouble:
    """What hinders one log."""

    fault: str = ""
    """The reason; "" if there is none."""
    retry_s: float = 0.0
    """The time on the monotonic clock before which it is not tried again."""
    pause_s: float = 0.0
    is_told: bool = False
    """Whether Redis knows that the log cannot be written."""

    def add(self, fault: str, now_s: float) -> bool:
        """Note that an attempt failed, and wait longer than last time; answers whether the reason is a new one."""
        is_new, self.fault = fault != self.fault, fault
        self.pause_s = min(_PAUSE_MAX_S, 2 * self.pause_s or _PAUSE_S)
        self.retry_s = now_s + self.pause_s
        return is_new

    def waits(self, now_s: float) -> bool:
        """Whether it is too early for another attempt."""
        return self.retry_s > now_s

    def clear(self) -> bool:
        """Note that an attempt succeeded; answers whether there was a trouble."""
        had_any = bool(self.fault)
        self.fault, self.pause_s, self.is_told = "", 0.0, False
        return had_any

"""What the configuration says of audit series, as frozen values."""

from dataclasses import dataclass

from eccmgr.config.live.effective import ScopeView
from eccmgr.text.patterns import Pattern

AUDIT_SERIES = "audit_series"


@dataclass(frozen=True, slots=True)
class SendingOptions:
    """How a member sends its counts: after `max_delay_s`, or once `max_pending` keys wait. `max_size` bounds the
    entries of a series."""

    max_delay_s: float
    max_pending: int
    max_size: int


@dataclass(frozen=True, slots=True)
class LoggerOptions:
    """Which series a manager writes to files, how often, and where."""

    base_dir: str
    interval_s: float
    by_default: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]

    def chosen(self, name: str) -> bool:
        """Whether the series of this name is written."""
        if any(Pattern.parse(text).is_all_of(name) for text in self.include):
            return True
        return self.by_default and not any(Pattern.parse(text).is_all_of(name) for text in self.exclude)


def sending_options(view: ScopeView) -> SendingOptions:
    """The options of the first `Replicate` for audit series, else the defaults. Raises ConfigError."""
    cluster = view.scope("cluster")
    scopes = cluster.scopes("Replicate")
    for scope in scopes:
        if (what := scope.text("parameters")) != AUDIT_SERIES:
            raise scope.fault(f"parameters: '{what}' cannot be sent, expected {AUDIT_SERIES}", "parameters")
    scope = scopes[0] if scopes else cluster.scope("Replicate", "metrics")
    return SendingOptions(scope.seconds("max_delay"), scope.integer("max_pending"), scope.integer("max_size"))


def logger_options(view: ScopeView) -> LoggerOptions | None:
    """The options of `as_logger`; None without a `base_dir`. Raises ConfigError."""
    scopes = view.scopes("as_logger")
    if len(scopes) > 1:
        raise scopes[1].fault("as_logger: there can be one only, because a window is written once")
    if not scopes or (base_dir := scopes[0].text("base_dir")) is None:
        return None
    scope = scopes[0]
    if not base_dir.startswith("/"):
        raise scope.fault(f"base_dir: '{base_dir}', expected an absolute path", "base_dir")
    default = (scope.text("series_include_default") or "all").lower()
    if default not in ("all", "none"):
        raise scope.fault(f"series_include_default: '{default}', expected all or none", "series_include_default")
    return LoggerOptions(
        base_dir=base_dir,
        interval_s=scope.seconds("log_interval"),
        by_default=default == "all",
        include=scope.items("series_include"),
        exclude=scope.items("series_exclude"),
    )

"""What the configuration says of the collection of logs, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass

from eccmgr.config.live.cluster_log import EVERY_MANAGER, ClusterLog
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import ConfigError
from eccmgr.logs.collection.gathering.template import Template
from eccmgr.logs.collection.safe_names import LONGEST, safe_name

_OF_LOGGER = ("mainlog", "paniclog", "rejectlog", "acctlog")


@dataclass(frozen=True, slots=True)
class WatchedLog:
    """A log of this node: its name, its file, and who collects it."""

    name: str
    path: str
    subscribers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WatchingOptions:
    """The logs of this node, and the most bytes of each that wait in Redis."""

    logs: tuple[WatchedLog, ...]
    pipe_max: int


def watching_options(view: ScopeView) -> WatchingOptions:
    """The logs that `cluster.logs` and the `cluster://` paths of `ec_logger` name. Raises ConfigError."""
    cluster = view.scope("cluster")
    subscribers: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for name, path in cluster.pairs("logs").items():
        if not path.startswith("/") or path.endswith("/"):
            raise cluster.fault(f"logs: '{path}' of {name}: expected the absolute path of a file", "logs")
        if not name or len(safe_name(name)) >= LONGEST or any(safe_name(name) == safe_name(other) for other in names):
            raise cluster.fault(f"logs: '{name[:80]}' is too long for the name of a log, or stands there twice", "logs")
        names[name], subscribers[path] = path, ()
    for logger in view.scopes("ec_logger"):
        for option in _OF_LOGGER:
            log = ClusterLog.parse(logger.text(option) or "")
            if not log.subscribers:
                continue
            if log.path not in names.values():
                names[option if option not in names else f"{option}.{logger.name}"] = log.path
            subscribers[log.path] = tuple(dict.fromkeys((*subscribers.get(log.path, ()), *log.subscribers)))
    logs = [WatchedLog(name, path, subscribers[path] or (EVERY_MANAGER,)) for name, path in names.items()]
    return WatchingOptions(tuple(logs), cluster.integer("logs_pipe"))


@dataclass(frozen=True, slots=True)
class GatheringOptions:
    """How a manager collects the logs of nodes. Without a `template` it collects none.

    `of_nodes` maps a node in small letters to its own template and subscribers.
    """

    template: Template | None
    subscribers: tuple[str, ...]
    of_nodes: Mapping[str, tuple[Template, tuple[str, ...]]]
    file_mode: int
    dir_mode: int
    max_open: int
    max_idle_s: float
    cache: str | None

    def template_for(self, node: str) -> Template | None:
        """The template of the files for a node's logs."""
        return self.of_nodes[node.lower()][0] if node.lower() in self.of_nodes else self.template

    def subscribers_for(self, node: str) -> tuple[str, ...]:
        """As whom this manager collects a node's logs."""
        return self.of_nodes[node.lower()][1] if node.lower() in self.of_nodes else self.subscribers


def gathering_options(view: ScopeView, manager: str) -> GatheringOptions:
    """The options of the scope `Logs` for a manager of this name. Raises ConfigError."""
    logs = view.scope("Logs")
    own = next((each for each in logs.scopes("Manager") if each.name.lower() == manager.lower()), logs)
    subscribers = _subscribers(own, tuple(dict.fromkeys((manager, EVERY_MANAGER))))
    utc = own.boolean("utc")
    template = _template(own, utc=utc)
    of_nodes = {}
    # What a manager's own scope says of a node wins over what is said for all managers.
    for node in (*logs.scopes("Node"), *(own.scopes("Node") if own is not logs else ())):
        its_template = _template(node, utc=utc) if "logfile" in _written(node) else template
        if its_template is not None:
            of_nodes[node.name.lower()] = (
                its_template,
                (_subscribers(node, subscribers) if "subscriber" in _written(node) else subscribers),
            )
    return GatheringOptions(
        template=template,
        subscribers=subscribers,
        of_nodes=of_nodes,
        file_mode=own.integer("file_mode"),
        dir_mode=own.integer("dir_mode"),
        max_open=logs.integer("max_open"),
        max_idle_s=logs.seconds("max_idle"),
        cache=logs.text("control_cache"),
    )


def _written(scope: ScopeView) -> set[str]:
    """The options that stand in this very scope, in small letters."""
    here = scope.root.find(scope.path)
    return set(here.options) if here is not None else set()


def _subscribers(scope: ScopeView, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope.items("Subscriber"))) if scope.states("Subscriber") else default


def _template(scope: ScopeView, *, utc: bool) -> Template | None:
    text = scope.text("logfile")
    try:
        return None if text is None else Template(text, utc=utc)
    except ConfigError as error:
        raise scope.fault(f"logfile: {error}", "logfile") from None

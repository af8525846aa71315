"""The part of a manager that reads the register of nodes: the folder `node_certificates`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from eccmgr.access.certificates import LONGEST_LINE, Certificate
from eccmgr.access.register import Register
from eccmgr.config.live.parts import Part, Prepared, Takeover
from eccmgr.errors import ConfigError
from eccmgr.text.naming import ALLOWED, is_plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eccmgr.access.statements import NodeCertificate
    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.syntax.changes import Change

log = structlog.get_logger()

OPTION = "node_certificates"
_SUFFIX = ".crt"
_FILES_MAX = 25_000
_FAULTS_SAID = 3


class RegisterPart(Part):
    """Holds the register of the nodes of `cluster`; None without a folder. `on_change` is called when it has changed.

    A file that is no certificate of this cluster is left out, and named in the log and in `info`.
    """

    title = "register of nodes"

    def __init__(self, view: ScopeView, cluster: str) -> None:
        """Raises ConfigError if the folder cannot be read."""
        self._cluster = cluster
        self.on_change: Callable[[], None] = lambda: None
        self.register: Register | None = None
        self.faults: list[str] = []
        self._take(self._read(view))

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError, with the place, if the folder cannot be read."""
        self._read(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the register anew. Raises ConfigError."""
        read = await asyncio.to_thread(self._read, view)
        return Takeover(lambda: self._take(read))

    def remarks(self) -> list[str]:
        """The lines of `info` about the register."""
        if self.register is None:
            return []
        more = len(self.faults) - _FAULTS_SAID
        said = [*self.faults[:_FAULTS_SAID], *((f"{more} more",) if more > 0 else ())]
        nodes = f"{len(self.register)} {'node' if len(self.register) == 1 else 'nodes'}"
        return [f"Register of nodes: {nodes}", *(f"Register of nodes: {fault}" for fault in said)]

    def _take(self, read: tuple[Register | None, list[str]]) -> None:
        self.register, self.faults = read
        for fault in self.faults:
            log.warning("file of the register left out", reason=fault)
        self.on_change()

    def _read(self, view: ScopeView) -> tuple[Register | None, list[str]]:
        cluster = view.scope("cluster")
        if not (named := cluster.text(OPTION)):
            return None, []
        try:
            paths = sorted(path for path in Path(named).iterdir() if path.suffix == _SUFFIX)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(f"{cluster.place(OPTION)}: the folder {named} cannot be read: {reason}") from None
        if len(paths) > _FILES_MAX:
            raise ConfigError(f"{cluster.place(OPTION)}: {named} holds {len(paths)} certificates (limit {_FILES_MAX})")
        certificates, faults = [], []
        for path in paths:
            try:
                certificates.append(self._certificate(path))
            except (ValueError, OSError) as error:
                faults.append(f"{path}: {error.strerror or error if isinstance(error, OSError) else error}")
        return Register(certificates), faults

    def _certificate(self, path: Path) -> NodeCertificate:
        """The statement of a file. Raises ValueError and OSError."""
        if not path.is_file():
            raise ValueError("it is not a regular file")
        with path.open("rb") as file:
            certificate = Certificate.parse(file.read(LONGEST_LINE))
        statement = certificate.unverified()
        certificate.named_keys()
        for name in (statement.name, statement.subcluster):
            if not is_plain_name(name):
                raise ValueError(f"'{name}' cannot be a name: {ALLOWED}")
        if statement.c != self._cluster:
            raise ValueError(f"it is for the cluster '{statement.c}', not for '{self._cluster}'")
        return statement

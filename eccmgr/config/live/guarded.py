"""The part of a configuration that no agent that was taken over can have written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eccmgr.config.files.disk import RootsFiles
from eccmgr.config.files.load import load
from eccmgr.config.live.effective import ScopeView

if TYPE_CHECKING:
    from eccmgr.config.files.disk import Reading
    from eccmgr.config.live.store import Store


def guarded_view(store: Store) -> ScopeView:
    """The configuration without its `Local_Changes_File`, which the daemon itself writes; blocks.

    If this process is root and will become another user, only root may be able to write each file. Raises
    FaultyConfigError.
    """
    view = _view(store, store.files)
    security = view.scope("Security")
    if os.geteuid() == 0 and (security.text("User") or security.text("Group")):
        return _view(store, RootsFiles())
    return view


def _view(store: Store, files: Reading) -> ScopeView:
    loaded = load(store.loaded.main, files, store.search_path, store.schema, local_changes=False)
    loaded.check()
    return ScopeView(loaded.root, (), store.overrides, store.schema)

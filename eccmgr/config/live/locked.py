"""What a configuration says where no agent that was taken over can have written it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eccmgr.config.files.disk import RootsFiles
from eccmgr.config.files.load import load
from eccmgr.config.live.effective import ScopeView

if TYPE_CHECKING:
    from eccmgr.config.files.disk import Reading
    from eccmgr.config.live.store import Store


def locked_view(store: Store) -> ScopeView:
    """The configuration without its `Local_Changes_File`, which the daemon itself writes; blocks.

    If this process is root and is to become another user, every file must be one that root alone may write. Raises
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

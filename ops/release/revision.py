"""A hook of the build: a wheel that is built in a checkout says from which revision."""

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WrittenRevision(BuildHookInterface[Any]):
    """Adds `eccmgr/_revision` to a wheel, unless whoever builds has written that file."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file; an editable installation reads its checkout instead."""
        package = Path(self.root) / "eccmgr"
        if version != "standard" or (package / "_revision").exists():
            return
        revision = runpy.run_path(str(package / "version.py"))["revision"]()
        if revision != "unknown":
            self._folder = tempfile.TemporaryDirectory()
            path = Path(self._folder.name) / "_revision"
            path.write_text(f"{revision}\n")
            build_data["force_include"][str(path)] = "eccmgr/_revision"

    def finalize(self, *_about: object) -> None:
        """Remove the file again."""
        if folder := getattr(self, "_folder", None):
            folder.cleanup()

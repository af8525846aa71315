"""A hook of the build: the README of a package has absolute links, because its reader has no checkout."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"\]\((?![a-z]+://|#)([^)\s]+)\)")


class AbsoluteReadme(MetadataHookInterface):
    """Gives the package's README links that lead to the address of the project."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the README of `metadata`."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        source = metadata["urls"]["Source"].rstrip("/")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, source)}


def absolute(text: str, source: str) -> str:
    """The text with each relative link made absolute."""
    return _RELATIVE.sub(rf"]({source}/\1)", text)

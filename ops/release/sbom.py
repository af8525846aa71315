"""Writes a software bill of materials (CycloneDX 1.6, JSON) from the lock: `python -m ops.release.sbom FILE`.

The same lock gives the same bytes: the serial number follows from the content, and there is no time.
"""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

from eccmgr.version import __version__
from ops.release.lock import LOCK, LockedPackage, licence_of, locked_packages


def bill_of_materials() -> dict[str, Any]:
    """The bill as a JSON object."""
    root = f"pkg:pypi/eccmgr@{__version__}"
    packages = list(locked_packages(LOCK.read_text()))
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "eccmgr",
                "version": __version__,
                "purl": root,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": [_component(package) for package in packages],
        "dependencies": [{"ref": root, "dependsOn": [_purl(package) for package in packages]}],
    }
    name = json.dumps(bill, sort_keys=True)
    return {**bill, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"}


def _purl(package: LockedPackage) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"


def _component(package: LockedPackage) -> dict[str, Any]:
    marker = [{"name": "eccmgr:marker", "value": package.marker}] if package.marker else []
    files = [{"name": "eccmgr:file:sha256", "value": digest} for digest in package.hashes]
    return {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
        "licenses": [{"expression": licence_of(package.name)}],
        "properties": [*marker, *files],
    }


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill_of_materials(), indent=1) + "\n")

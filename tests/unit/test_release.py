"""What a release consists of: the same bytes from the same sources, a README with links that lead somewhere, and the
packages that it is built on."""

import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ops.release import licences, sbom
from ops.release.lock import LOCK, locked_packages
from tests.daemons import ROOT

_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "eccmgr", "worker", "cli", "ops/release")


def built(folder: Path, umask: int) -> Path:
    """A wheel that was built from a copy of the sources in `folder`, each file of which is new."""
    for name in _SOURCES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(command, cwd=folder, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (folder / "dist").iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("first"), 0o022)


def test_two_builds_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = built(tmp_path, 0o077)
    finally:
        os.umask(before)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_readme_of_a_wheel_has_absolute_links(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        (name,) = (name for name in content.namelist() if name.endswith("/METADATA"))
        about = email.message_from_bytes(content.read(name))
    text = about.get_payload()
    assert isinstance(text, str)
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert len(links) > 10
    assert [link for link in links if "://" not in link] == []
    urls = dict(line.split(", ") for line in about.get_all("Project-URL", []))
    assert f"{urls['Source']}/docs/commands.md" in links
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in about.get_all("Classifier", [])


def test_each_locked_package_has_its_licence() -> None:
    assert (ROOT / "docs" / "licences.md").read_text() == licences.page(), "run `make reference`"


def test_the_bill_of_materials_names_each_locked_file() -> None:
    bill = sbom.bill_of_materials()
    assert bill == sbom.bill_of_materials()
    listed = {component["purl"]: component for component in bill["components"]}
    for package in locked_packages(LOCK.read_text()):
        files = [entry["value"] for entry in listed[f"pkg:pypi/{package.name}@{package.version}"]["properties"]]
        assert set(package.hashes) <= set(files)
    hashes = LOCK.read_text().count("--hash=sha256:")
    assert sum(len(package.hashes) for package in locked_packages(LOCK.read_text())) == hashes

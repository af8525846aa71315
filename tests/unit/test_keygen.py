"""`eccmgr keygen`: makes a key as an operator asks for it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.eccmgr import app
from eccmgr.access.keys import PublicKey, read_signing_key


def test_keygen_writes_a_pair_and_prints_its_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["keygen", str(tmp_path / "keys"), "--name", "m1", "--days", "30"])
    assert done.exit_code == 0
    key = read_signing_key(tmp_path / "keys" / "m1.key")
    assert PublicKey.parse(done.stdout.splitlines()[-1]) == key.public
    assert (tmp_path / "keys" / "m1.pub").read_text().strip() == str(key.public)


def test_keygen_replaces_no_key(tmp_path: Path) -> None:
    asked = ["keygen", str(tmp_path), "--name", "m1"]
    CliRunner().invoke(app, asked)
    before = (tmp_path / "m1.key").read_text()
    done = CliRunner().invoke(app, asked)
    assert (done.exit_code, (tmp_path / "m1.key").read_text()) == (1, before)
    assert "exists" in done.stderr


@pytest.mark.parametrize("arguments", [["--name", "../m1"], ["--days", "0"], ["--days", "x"]])
def test_keygen_refuses_what_makes_no_sense(tmp_path: Path, arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["keygen", str(tmp_path), *arguments]).exit_code == 2
    assert list(tmp_path.iterdir()) == []

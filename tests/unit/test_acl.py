"""`eccmgr acl`: the lines of Redis's ACL file, as an operator asks for them."""

from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.eccmgr import app
from eccmgr.redis.acl import user_of_managers, user_of_node
from eccmgr.redis.keys import Keys

SAMPLES = Path(__file__).parents[2] / "ops" / "redis"


def printed(*flags: str) -> str:
    done = CliRunner().invoke(app, ["acl", *flags])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_shipped_samples_are_what_it_prints() -> None:
    assert (SAMPLES / "managers.acl").read_text() == printed(), "eccmgr acl >ops/redis/managers.acl"
    assert (SAMPLES / "node1.acl").read_text() == printed("--node", "node1"), "eccmgr acl --node node1 >…"


def test_a_line_has_the_hash_alone(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("S3cr3t\n")
    line = printed("--node", "East1", "--redis-password-file", str(tmp_path / "pw"))
    assert line.startswith(f"user ecnode+ec_cluster+east1 reset on #{sha256(b'S3cr3t').hexdigest()} ")
    assert "S3cr3t" not in line
    assert line.count("\n") == 1


def test_user_without_a_password_cannot_log_in() -> None:
    assert "nopass" not in printed()
    assert " #" not in printed("--node", "n1")


def test_no_two_users_have_one_name() -> None:
    names = {user_of_managers(Keys("a")), user_of_node(Keys("a"), "b"), user_of_managers(Keys("a.b"))}
    assert len({*names, user_of_node(Keys("a.b"), "b"), user_of_node(Keys("a"), "b.b")}) == 5


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--cluster", "a b"), "'a b' cannot be a name"),
        (("--node", "*"), "'*' cannot be a name"),
        (("--node", "n1", "--subcluster", "x ~*"), "'x ~*' cannot be a name"),
        (("--subcluster", "x"), "--subcluster is for a node: add --node NAME"),
        (("--redis-password-file", "/nonexistent"), "cannot be read"),
    ],
)
def test_it_refuses_what_makes_no_sense(flags: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["acl", *flags])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr

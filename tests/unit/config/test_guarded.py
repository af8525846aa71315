"""Options that decide what root becomes are read only from files that root alone may write."""

import os
from pathlib import Path

import pytest

from eccmgr.config.live.guarded import guarded_view
from eccmgr.config.live.store import Store
from eccmgr.config.syntax.faults import FaultyConfigError

FILE = 'Security { User = "nobody" }\ninclude "more.conf"\nLocal_Changes_File = "changes.conf"\n'
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@pytest.fixture
def main(folder: Path) -> Path:
    (folder / "main.conf").write_text(FILE)
    (folder / "more.conf").write_text('Security { Group = "nogroup" }\n')
    return folder / "main.conf"


def user(main: Path) -> str | None:
    return guarded_view(Store(str(main))).scope("Security").text("User")


def test_local_changes_do_not_choose_the_user(main: Path) -> None:
    main.with_name("changes.conf").write_text('Security { User = "root" }\n')
    assert user(main) == "nobody"


def test_faulty_local_changes_do_not_matter(main: Path) -> None:
    main.with_name("changes.conf").write_text('include "/etc/shadow"\n}')
    assert user(main) == "nobody"


@as_root
@pytest.mark.parametrize("name", ["main.conf", "more.conf"])
def test_a_file_that_others_may_write_is_refused(main: Path, name: str) -> None:
    main.with_name(name).chmod(0o646)
    with pytest.raises(FaultyConfigError, match=f"{name}.*others than root may write it"):
        user(main)


@as_root
@pytest.mark.parametrize("name", ["main.conf", "more.conf"])
def test_a_file_of_another_user_is_refused(main: Path, name: str) -> None:
    os.chown(main.with_name(name), 65534, 65534)
    with pytest.raises(FaultyConfigError, match=f"{name}.*others than root may write it"):
        user(main)


@as_root
def test_a_symbolic_link_is_not_followed(main: Path) -> None:
    main.with_name("link.conf").symlink_to(main)
    with pytest.raises(FaultyConfigError, match="symbolic link"):
        user(main.with_name("link.conf"))


@as_root
def test_a_daemon_that_stays_root_reads_any_file(main: Path) -> None:
    main.write_text("")
    main.chmod(0o646)
    assert user(main) is None

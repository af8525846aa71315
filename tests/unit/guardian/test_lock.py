"""The lock that makes a guardian the only one of its host: only its own user can put another lock in its place."""

from pathlib import Path

import pytest

from worker.guardian.rights import Alone, NotAlone


def test_lock_folder_is_for_its_user_only(folder: Path) -> None:
    alone = Alone(folder / "own" / "guardian.lock")
    alone.take()
    alone.close()
    assert (folder / "own").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_lock_where_others_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(NotAlone, match="in which nobody else may write"):
        Alone(folder / "guardian.lock").take()
    folder.chmod(0o700)


def test_link_is_neither_lock_nor_lock_folder(folder: Path) -> None:
    (folder / "guardian.lock").symlink_to(folder / "elsewhere")
    with pytest.raises(NotAlone, match="symbolic link"):
        Alone(folder / "guardian.lock").take()
    (folder / "link").symlink_to(folder)
    with pytest.raises(NotAlone, match="must be one of uid"):
        Alone(folder / "link" / "guardian.lock").take()
    assert not (folder / "elsewhere").exists()

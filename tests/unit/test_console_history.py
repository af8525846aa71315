"""The history keeps typed lines, within bounds, and never hinders the console."""

from pathlib import Path

from prompt_toolkit.history import FileHistory, InMemoryHistory

from cli.console.history import HISTORY_MAX_BYTES, open_history


def test_the_history_is_kept_and_nobody_elses_business(folder: Path) -> None:
    path = folder / "state" / "history"
    open_history(path).store_string("broadcast version")
    assert list(open_history(path).load_history_strings()) == ["broadcast version"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_grown_history_is_cut_to_its_latest_part(folder: Path) -> None:
    path = folder / "history"
    history = FileHistory(str(path))
    number = 0
    while not path.exists() or path.stat().st_size <= HISTORY_MAX_BYTES:
        history.store_string(f"command {number} " + "x" * 1000)
        number += 1
    kept = [line.split(" x")[0] for line in open_history(path).load_history_strings()]
    assert path.stat().st_size <= HISTORY_MAX_BYTES // 2
    assert kept == [f"command {n}" for n in range(number - 1, number - 1 - len(kept), -1)]
    assert len(kept) > 100


def test_history_is_written_over_no_link(folder: Path) -> None:
    """HOME may be the folder of a user who became root by `sudo`, and put a link there before."""
    (folder / "victim").write_text("precious")
    (folder / "history").symlink_to(folder / "victim")
    assert isinstance(open_history(folder / "history"), InMemoryHistory)
    assert (folder / "victim").read_text() == "precious"


def test_console_works_without_a_history_file(folder: Path) -> None:
    (folder / "file").touch()
    assert isinstance(open_history(folder / "file" / "history"), InMemoryHistory)

"""Sieve scripts are parsed once, kept for a time, and read only from their folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.modules.sieve_cache import Cache, SieveScript
from worker.modules.sieve_scripts import NoScript, name_within, parse, read_within, scripts_in

ONE, TWO = SieveScript(commands=1), SieveScript(commands=2)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_longest_unused_script_goes_first() -> None:
    cache = Cache(2, 0, Clock())
    cache.put("a", ONE)
    cache.put("b", TWO)
    assert cache.get("a") is ONE
    cache.put("c", ONE)
    assert cache.get("b") is None
    assert cache.get("a") is ONE
    assert cache.facts() == {
        "entries": 2, "size": 2, "hits": 2, "misses": 1, "expired": 0, "evicted": 1, "flushed": 0
    }  # fmt: skip


def test_script_is_kept_for_its_time_only() -> None:
    clock = Clock()
    cache = Cache(10, 60, clock)
    cache.put("a", ONE)
    clock.now += 59.9
    assert cache.get("a") is ONE
    clock.now += 0.1
    assert cache.facts()["entries"] == 0
    assert cache.get("a") is None
    assert cache.facts()["expired"] == 1


def test_a_flush_counts_what_was_still_of_use() -> None:
    clock = Clock()
    cache = Cache(10, 60, clock)
    cache.put("old", ONE)
    clock.now += 60
    cache.put("new", ONE)
    assert cache.flush() == 1
    assert cache.flush() == 0
    assert cache.get("new") is None


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.floats(0, 100))), st.integers(1, 4))
def test_cache_never_exceeds_its_size_or_invents_values(steps: list[tuple[str, bool, float]], size: int) -> None:
    clock = Clock()
    cache = Cache(size, 50, clock)
    put: dict[str, tuple[float, SieveScript]] = {}
    for file, is_put, wait in steps:
        clock.now += wait
        if is_put:
            put[file] = (clock.now, SieveScript(commands=len(put)))
            cache.put(file, put[file][1])
        elif (found := cache.get(file)) is not None:
            assert found is put[file][1]
            assert clock.now - put[file][0] < 50
        assert cache.facts()["entries"] <= size


def test_a_script_that_holds_is_parsed() -> None:
    assert parse('require ["fileinto"];\nif header :is "Sender" "x" { fileinto "a"; }') == SieveScript(commands=2)
    assert parse("") == SieveScript(commands=0)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('if headr :is "Sender" "x" { keep; }', "line 1: unknown command 'headr'"),
        ('\nfileinto "a";', "line 2: extension 'fileinto' not loaded"),
        ("keep", "the last command is not finished"),
        ("if true { keep;", "end of script reached"),
    ],
)
def test_faults_of_a_script_come_with_their_line(script: str, said: str) -> None:
    assert said in parse(script).fault


def test_require_of_one_script_ends_with_it() -> None:
    assert not parse('require ["fileinto"]; fileinto "a";').fault
    assert parse('fileinto "a";').fault


@given(st.text(alphabet='{}[]();,"\\:#/*. \nabifkeprqutx01', max_size=60))
def test_any_text_is_a_script_or_a_fault(script: str) -> None:
    assert isinstance(parse(script), SieveScript)


def read(folder: Path, file: str, longest: int = 100) -> str | None:
    return read_within(folder, name_within(folder, file), longest)


def test_scripts_of_the_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("keep;")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "er").write_text("stop;")
    assert read(tmp_path, "in") == read(tmp_path, "./in") == read(tmp_path, str(tmp_path / "in")) == "keep;"
    assert read(tmp_path, "deep//er") == "stop;"
    assert name_within(tmp_path, f"{tmp_path}/deep//./er") == "deep/er"
    assert read(tmp_path, "in", 4) is None


@pytest.mark.parametrize(
    "file",
    [
        "../secret", "deep/../../secret", "deep/../in", "{base}/secret", "{base}/none", "{base}/sieve/../secret",
        "{base}/sievelike", "/etc/passwd", "//etc/passwd", "/proc/self/cwd", "link", "chain", "dangling",
        "outside/secret", "deep", ".", "", "/", "..", "~root/x", "none", "in/none", "fifo", "in\0", "a\0b", "\udcff",
        "x" * 300, "y/" * 3000,
    ],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "sieve"
    (folder / "deep").mkdir(parents=True)
    for outside in ("secret", "sievelike"):
        (tmp_path / outside).write_text("secret")
    (folder / "in").write_text("keep;")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "chain").symlink_to("in")
    (folder / "dangling").symlink_to(tmp_path / "none")
    (folder / "outside").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo")
    with pytest.raises(NoScript):
        read(folder, file.format(base=tmp_path))


def test_only_files_of_the_folder_are_offered(tmp_path: Path) -> None:
    folder = tmp_path / "sieve"
    (folder / "deep").mkdir(parents=True)
    for name in ("b", "a", "bell\a"):
        (folder / name).write_text("keep;")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert scripts_in(folder, 10) == ["a", "b"]
    assert scripts_in(folder, 1) in (["a"], ["b"])
    assert scripts_in(tmp_path / "none", 10) == []


def test_script_that_costs_too_much_is_given_up() -> None:
    assert parse("keep;" * 1000, limit_s=0).fault == "it takes more than 0 s to parse"
    names = ",".join(f'"x{number}"' for number in range(30_000))
    assert parse(f"require [{names}];").fault == "a require has more than 100 names"
    assert parse('if header "a" [' + '"x",' * 5000 + '"y"] { keep; }') == SieveScript(commands=1)


def test_fault_does_not_repeat_a_long_word() -> None:
    assert len(parse("?" * 200_000).fault) < 400

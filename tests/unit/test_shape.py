"""The shape of the code: each class name is used once, a file has one idea, a function fits a screen, imports run one
way."""

import ast
import collections
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eccmgr", "worker", "cli")
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
MOST_ANY = 5.2
"""A thousand lines."""
WORDS_IN_A_TEST = 8


def modules(*tops: str) -> Iterator[tuple[str, str, ast.Module]]:
    for top in tops:
        for path in sorted((ROOT / top).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield str(path.relative_to(ROOT)), text, ast.parse(text)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_class_name_is_used_twice() -> None:
    places = collections.defaultdict(list)
    for path, _, tree in modules(*PACKAGES):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_file_is_too_long() -> None:
    lengths = {path: text.count("\n") for path, text, _ in modules(*PACKAGES)}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_every_function_fits_a_screen() -> None:
    lengths = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, _, tree in modules(*PACKAGES)
        for node in functions(tree)
    }
    assert {place: lines for place, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_any_is_as_rare_as_it_was() -> None:
    lines = used = 0
    for _, text, tree in modules(*PACKAGES):
        lines += text.count("\n")
        used += sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))
    assert 1000 * used / lines <= MOST_ANY


@pytest.mark.parametrize(("package", "barred"), [("eccmgr", {"worker", "cli"}), ("worker", {"cli"})])
def test_imports_run_one_way(package: str, barred: set[str]) -> None:
    found = {
        (path, name)
        for path, _, tree in modules(package)
        for node in ast.walk(tree)
        for name in imported(node)
        if name.partition(".")[0] in barred
    }
    assert found == set()


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_a_test_is_named_in_few_words() -> None:
    names = {
        f"{path} {node.name}": len(node.name.split("_")) - 1
        for path, _, tree in modules("tests")
        for node in functions(tree)
        if node.name.startswith("test_")
    }
    assert {place: words for place, words in names.items() if words > WORDS_IN_A_TEST} == {}

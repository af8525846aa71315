"""The pages for people name files, classes and sections that exist."""

import ast
import functools
import re
import subprocess
import tomllib
from functools import cache

import pytest

from ops.release import manual
from tests.daemons import ROOT

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
FOR_DEVELOPERS = ["docs/architecture.md", "docs/contributing.md"]
ENDINGS = ("py", "lua", "md", "toml", "txt")
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(rf"[a-z_0-9./-]+\.(?:{'|'.join(ENDINGS)})")
_FOLDER = re.compile(r"(?:[a-z_-]+/)+")
_FLAG = re.compile(r"(?<=[\s\[(])--[a-z][\w-]*")
_MEMBER = re.compile(r"[A-Z]\w*[a-z]\w*\.[a-z_]\w+")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sections(page: str) -> set[str]:
    """The anchors of a page's headings, as the usual viewers make them."""
    titles = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@functools.cache
def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a checkout")
    return [f"/{path}" for path in listed.stdout.decode().split("\n") if (ROOT / path).is_file()]


@functools.cache
def members() -> set[str]:
    """`Class.member` for each method, field and attribute of every class."""
    found = set()
    for path in (path for top in ("eccmgr", "worker", "cli") for path in (ROOT / top).rglob("*.py")):
        for kind in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(kind, ast.ClassDef):
                for part in ast.walk(kind):
                    match part:
                        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.Attribute(_, name):
                            found.add(f"{kind.name}.{name}")
                        case ast.AnnAssign(ast.Name(name)):
                            found.add(f"{kind.name}.{name}")
    return found


@cache
def flags() -> dict[str, set[str]]:
    """The flags of each program, as its man page has them; those of the console with those of all commands."""
    texts = {name: re.sub(r"\\f.|\\", "", page) for name, page in manual.pages().items()}
    texts["ec_console"] += text_of("docs/commands.md")
    return {name: set(re.findall(r"--[a-z][\w-]*", text)) for name, text in texts.items()}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    dead = []
    for link in _LINK.findall(text_of(page)):
        if "://" in link:
            continue
        target, _, section = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        if not path.exists() or (section and section not in sections(str(path.resolve().relative_to(ROOT)))):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    files = tracked()
    missing = set()
    for word in (word for code in _CODE.findall(text_of(page)) for word in code.split()):
        if _FILE.fullmatch(word) and not any(path.endswith(f"/{word}") for path in files):
            missing.add(word)
        if _FOLDER.fullmatch(word) and not any(f"/{word}" in path for path in files):
            missing.add(word)
    assert missing == set()


@pytest.mark.parametrize("page", PAGES)
def test_paragraphs_of_a_list_stay_in_it(page: str) -> None:
    # The site's Markdown takes a paragraph into the list above it from four blanks on.
    assert re.findall(r"\n\n {1,3}[^ \n].*", text_of(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_that_a_page_names_exists(page: str) -> None:
    lines = re.findall(rf"(?<![\w./-])({'|'.join(flags())})( [^`|#&;\n]*)", text_of(page))
    named = {f"{program} {flag}" for program, words in lines for flag in _FLAG.findall(words)}
    assert named - {f"{program} {flag}" for program, known in flags().items() for flag in known} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_member_that_a_page_names_exists(page: str) -> None:
    named = {word for code in _CODE.findall(text_of(page)) if _MEMBER.fullmatch(word := code.partition("(")[0])}
    assert named - members() == set()


def test_readme_says_what_each_dependency_is_for() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    needed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    needed = [line for line in needed if not line.startswith("eccmgr[")]
    names = {name.replace("_", "-") for line in needed for name in re.findall(r"^[\w-]+|(?<=\[)hiredis", line)}
    said = re.findall(r"^\| ([\w, -]+) \|", text_of("README.md").partition("## Dependencies")[2], re.MULTILINE)
    assert names - {name.strip().replace("_", "-") for row in said for name in row.split(",")} == set()


def test_site_leads_to_every_page() -> None:
    listed = re.findall(
        r"^ +- (?:[^:\n]+: )?([\w/-]+\.md)$", text_of("mkdocs.yml").partition("\nnav:")[2], re.MULTILINE
    )
    assert sorted(f"docs/{page}" for page in listed) == PAGES[1:]

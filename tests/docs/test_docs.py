"""What README, docs and labs say of the project, compared with the project: links, names, commands, the layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click
import pytest
import typer.main
import yaml

from meshdojo.cli.main import app
from meshdojo.course.course import load_course
from meshdojo.course.fences import DISPLAY
from meshdojo.course.lab import LabFront, RightFront, WrongFront
from meshdojo.course.masks import ON_REQUEST

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / root / "meshdojo" for root in ("platform", "checkers", "site")]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
CHAPTERS = sorted((ROOT / "labs").glob("*/**/*.md"))
SOURCES = sorted(file for package in PACKAGES for file in package.rglob("*.py"))
COMMANDS: Mapping[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
HELP = {"--help"}
# Those of `meshdojo` itself.
OPTIONS = {name for parameter in typer.main.get_command(app).params for name in parameter.opts} | HELP

# Pages that name the files of one package leave its name out.
SHORT_FOR = {"control-plane.md": ("istio", "istio/translation"), "pods.md": ("kubelet",)}

# What a run makes, or what stands for any of a kind.
MADE = {"__init__.py", "artifacts/", "cluster.log", "manifests/", "right/", "wrong/", "xds/", "lab.md"}

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# Placeholders are in capitals (wrong/NAME.md).
FILE = re.compile(r"[a-z_0-9.][a-z_0-9./-]*(?:\.(?:py|toml|yaml|md)|/)")
# A command stands in code, at the beginning of a line, after a quote, an operator of the shell or `.venv/bin/`.
COMMAND = re.compile(r"(?:^|[`'\"(]|&& |\$ ?\(?|\.venv/bin/)meshdojo +([^`'\"\n)]*)", re.MULTILINE)
ARROW = re.compile(r"^  (\w+) --> (\w+)$", re.MULTILINE)


def ids(files: Iterable[Path]) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files]


def outside_fences(text: str) -> str:
    return FENCE.sub("", text)


def anchors(file: Path) -> set[str]:
    """The fragments that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", outside_fences(file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*DOCS, *CHAPTERS], ids=ids([*DOCS, *CHAPTERS]))
def test_relative_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(outside_fences(page.read_text())):
        if "://" in link:
            continue
        name, _, fragment = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (fragment and fragment not in anchors(target)):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("page", DOCS, ids=ids(DOCS))
def test_files_that_docs_name_exist(page: Path) -> None:
    places = [ROOT, *(package / part for part in ("", *SHORT_FOR.get(page.name, ())) for package in PACKAGES)]
    named = [name for name in CODE.findall(outside_fences(page.read_text())) if FILE.fullmatch(name)]
    assert [name for name in named if name not in MADE and not any((place / name).exists() for place in places)] == []


def commands(text: str) -> Iterator[list[str]]:
    """The words of each call of ``meshdojo``, up to the end of the command."""
    for line in COMMAND.findall(text):
        words = re.split(r" #|&&|[|;]", line)[0].split()
        if words and re.fullmatch(r"[a-z-]+", words[0]):
            yield words


def subcommands(command: click.Command | None) -> Mapping[str, click.Command]:
    """Those of a group of commands."""
    return getattr(command, "commands", {})


def unknown_words(words: list[str]) -> list[str]:
    """The subcommand or the options of a call that do not exist."""
    if words[0].startswith("-"):
        return [word for word in words if word not in OPTIONS]
    command = COMMANDS.get(words[0])
    if subcommands(command) and len(words) > 1:
        command, words = subcommands(command).get(words[1]), words[1:]
    if command is None:
        return [words[0]]
    words = words[: words.index("--")] if "--" in words else words
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | HELP
    return [word for word in words[1:] if word.startswith("-") and word.partition("=")[0] not in known]


@pytest.mark.parametrize("page", [*DOCS, *CHAPTERS], ids=ids([*DOCS, *CHAPTERS]))
def test_commands_that_pages_tell_to_type_exist(page: Path) -> None:
    calls = list(commands(page.read_text()))
    assert {" ".join(words): found for words in calls if (found := unknown_words(words))} == {}


def strings(file: Path) -> Iterator[str]:
    """The texts in a module: messages and help, with `…` for what is filled in."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_commands_that_messages_recommend_exist() -> None:
    quoted = re.compile(r"'meshdojo ([^']+)'")
    wrong = [
        f"{file.relative_to(ROOT)}: meshdojo {call}"
        for file in SOURCES
        for text in strings(file)
        for call in quoted.findall(text)
        if unknown_words([word for word in call.split() if "…" not in word])
    ]
    assert wrong == []


def leaves(commands: Mapping[str, click.Command], prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    for name, command in commands.items():
        if subcommands(command):
            assert command.help
            yield from leaves(subcommands(command), f"{prefix}{name} ")
        else:
            yield prefix + name, command


LEAVES = dict(leaves(COMMANDS))


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_and_option_has_help_and_an_example(name: str) -> None:
    command = LEAVES[name]
    assert command.help
    examples = list(commands(command.help.partition("Example: ")[2]))
    assert examples
    assert [found for words in examples if (found := unknown_words(words))] == []
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []


def imports() -> dict[str, set[str]]:
    """Package -> the packages that it imports, read from the code."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            own = file.relative_to(package).parts[0].removesuffix(".py")
            into = found.setdefault(own, set())
            into.update(name for name in _imported(file) if name != own)
    return found


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "meshdojo":
            modules = [f"meshdojo.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        yield from (module.split(".")[1] for module in modules if module.startswith("meshdojo."))


def reach(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(graph.get(start, ()))
    while todo:
        if (one := todo.pop()) not in seen:
            seen.add(one)
            todo += graph.get(one, ())
    return seen


def test_the_diagram_of_the_layers_is_the_code() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text().partition("## Layers")[2].partition("\n## ")[0]
    drawn: dict[str, set[str]] = {}
    for upper, lower in ARROW.findall(section):
        drawn.setdefault(upper, set()).add(lower)
    code = imports()
    assert {name: lower - code[name] for name, lower in drawn.items() if lower - code[name]} == {}
    assert {name: reach(drawn, name) for name in code} == {name: reach(code, name) for name in code}


def test_the_page_for_instructors_names_all_that_a_lab_may_have() -> None:
    page = (ROOT / "docs" / "writing-labs.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    lab, right, wrong = blocks
    assert LabFront.model_validate(lab).model_dump(mode="json") == lab
    assert set(lab) == set(LabFront.model_fields)
    assert set(right) == set(RightFront.model_fields)
    assert set(wrong) == set(WrongFront.model_fields)
    assert [name for name in (*DISPLAY, *(f"mask={name}" for name in ON_REQUEST)) if name not in page] == []


def test_the_example_of_a_wrong_solution_is_one_of_the_course() -> None:
    page = (ROOT / "docs" / "writing-labs.md").read_text()
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[2])
    tasks = {task.id: task.checks for task in load_course().lab(example["fails"].partition(".")[0]).tasks}
    assert example["fails"] in tasks[example["task"]]


def test_the_page_of_what_was_proven_speaks_of_what_ci_runs() -> None:
    """Every lab by itself: the test of labs takes them from the course, on both backends."""
    page = (ROOT / "docs" / "proven.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| every lab: "))
    proof = (ROOT / "tests" / "labs" / "test_proof.py").read_text()
    assert ("twice, in two shuffled orders" in row) == ("Plan(passes=2, seed=" in proof)
    assert "load_course().labs" in proof
    jobs = re.search(r'"MESHDOJO_KIND_JOBS", "(\d)"', proof)
    words = {"2": "two", "3": "three"}
    assert jobs is not None
    assert f"in CI, at every change: once, shared out over {words[jobs[1]]} clusters" in row
    assert "tests/labs/test_proof.py -m kind " in (ROOT / ".ci" / "run").read_text()
    nightly = (ROOT / ".github" / "workflows" / "nightly.yml").read_text()
    times = re.search(r"(\d+) times, by a nightly job \| (\d+) times, by a nightly job", page)
    assert times is not None
    runs = dict(re.findall(r"backend: (\w+), runs: (\d+)", nightly))
    assert runs == {"embedded": times[1], "kind": times[2]}

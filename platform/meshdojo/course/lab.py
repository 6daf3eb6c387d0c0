"""A lab: one folder of `labs/`, such as `labs/03-canary/`.

lab.md        the chapter, with its front matter
manifests/    what the lab needs beyond `labs/base/`; applied in the order of the file names
right/        other right solutions, one Markdown file each, which validation proves to pass
wrong/        wrong solutions, one Markdown file each, which validation proves to fail

A chapter without a task has no checks and no solutions; its commands are run and compared all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from meshdojo.course import frontmatter, markdown
from meshdojo.course.errors import CourseError, NoSuch, found
from meshdojo.course.fences import Fence
from meshdojo.course.markdown import Question, Section, Task

CHAPTER = "lab.md"
BASE = "base"
_FOLDER = re.compile(r"\d\d-([a-z][a-z0-9-]*)")
NAMESPACED = r"^[a-z0-9-]+/[a-z0-9.-]+$"
Front = TypeVar("Front", bound=BaseModel)

# istio: Istio is installed (demo profile). no-istio: it is not; the lab installs it. fleet: the fleet (labs/base)
# runs. cluster-admin: the lab changes what all share (CRDs, the mesh's configuration): it is not for a shared cluster.
Need = Literal["istio", "no-istio", "fleet", "cluster-admin"]


class LabFront(BaseModel):
    """The front matter of `lab.md`. `weight` orders the course; `time` is in minutes.

    `fresh`: Deployments, as NAMESPACE/NAME, whose pods a reset replaces in any case, because they keep something in
    memory that the lab is about.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    weight: int = Field(ge=0)
    time: int = Field(gt=0)
    difficulty: Literal["beginner", "intermediate", "advanced"]
    objectives: tuple[str, ...] = Field(min_length=1)
    needs: tuple[Need, ...]
    fresh: tuple[Annotated[str, Field(pattern=NAMESPACED)], ...] = ()

    @property
    def fresh_deployments(self) -> frozenset[tuple[str, str]]:
        """`fresh` as pairs of namespace and name."""
        return frozenset((one.partition("/")[0], one.partition("/")[2]) for one in self.fresh)

    @field_validator("needs")
    @classmethod
    def _possible(cls, needs: tuple[Need, ...]) -> tuple[Need, ...]:
        if "no-istio" in needs:
            if "istio" in needs:
                raise ValueError("either istio or no-istio, not both")
            if "fleet" in needs:
                raise ValueError(
                    "the fleet's way in is made of Istio's kinds, so fleet and no-istio do not go together"
                )
            if "cluster-admin" not in needs:
                raise ValueError("no-istio takes Istio away from all who share the cluster: it needs cluster-admin too")
        return needs


class RightFront(BaseModel):
    """The front matter of another right solution.

    `task` is the task that it solves. It starts from the documented solution of all tasks up to and including `after`
    (default: all tasks before `task`; 'start': none).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    task: str
    after: str = ""


class WrongFront(RightFront):
    """The front matter of a wrong solution: `fails` is the one check of its task that must fail."""

    fails: str


@dataclass(frozen=True)
class RightSolution:
    """Another way to do a task than the chapter's."""

    file: Path
    front: RightFront
    fences: tuple[Fence, ...]

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.file.stem


@dataclass(frozen=True)
class WrongSolution:
    """A way to do a task that looks right and is not."""

    file: Path
    front: WrongFront
    fences: tuple[Fence, ...]

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.file.stem


Solution = RightSolution | WrongSolution


@dataclass(frozen=True)
class Lab:
    """A lab, read and consistent in itself. `id` is the folder's name without its number."""

    id: str
    folder: Path
    front: LabFront
    sections: tuple[Section, ...]
    right: tuple[RightSolution, ...]
    wrong: tuple[WrongSolution, ...]
    manifest_files: tuple[Path, ...]

    @property
    def title(self) -> str:
        """The title, from the front matter."""
        return self.front.title

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All tasks, in the order of the page."""
        return tuple(section.task for section in self.sections if section.task)

    @property
    def solutions(self) -> tuple[Solution, ...]:
        """All that validation tries beside the documented one."""
        return (*self.right, *self.wrong)

    @property
    def questions(self) -> tuple[Question, ...]:
        """All questions of the quiz, in the order of the page."""
        return tuple(question for section in self.sections for question in section.questions)

    def task(self, name: str) -> Task:
        """The task with this id. Raises NoSuch."""
        for task in self.tasks:
            if task.id == name:
                return task
        raise NoSuch(f"task in the lab {self.id!r} with the name", name, (task.id for task in self.tasks))

    def manifests(self) -> tuple[dict[str, Any], ...]:
        """The objects of the lab's start state, in the order in which they are applied. Raises CourseError.

        An object that a later file has again (a lab's own, of one in `labs/base/`) takes the earlier one's place.
        """
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for file in self.manifest_files:
            found.update((_key(obj), obj) for obj in read_manifests(file))
        return tuple(found.values())

    def placed_manifests(self) -> tuple[tuple[dict[str, Any], Path, int], ...]:
        """`manifests`, each with its file and line. Raises CourseError."""
        return tuple(
            (obj, file, line)
            for file in self.manifest_files
            for obj, line in zip(read_manifests(file), _lines_of_documents(file), strict=True)
        )

    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that the start state makes: what a reset deletes."""
        return tuple(obj["metadata"]["name"] for obj in self.manifests() if obj["kind"] == "Namespace")


def load_lab(folder: Path) -> Lab:
    """Read a lab's folder. Raises CourseError with file and line."""
    match = _FOLDER.fullmatch(folder.name)
    if not match:
        raise CourseError(folder, 0, "the folder of a lab is named NN-name, in small letters, digits and dashes")
    document = frontmatter.read(folder / CHAPTER)
    front = frontmatter.parse(document, LabFront)
    title, sections = markdown.sections(document.file, document.body)
    if title != front.title:
        raise CourseError(document.file, 0, f"the # heading {title!r} is not the front matter's title {front.title!r}")
    right = tuple(RightSolution(*_load_solution(file, RightFront)) for file in sorted((folder / "right").glob("*.md")))
    wrong = tuple(WrongSolution(*_load_solution(file, WrongFront)) for file in sorted((folder / "wrong").glob("*.md")))
    lab = Lab(match[1], folder, front, sections, right, wrong, tuple(_manifest_files(folder, front)))
    _consistent(lab)
    return lab


def read_manifests(file: Path) -> tuple[dict[str, Any], ...]:
    """The objects in a YAML file, as JSON has them: keys such as `9090:` are text.

    Raises CourseError when it is no YAML or an object lacks kind or name.
    """
    try:
        objects = [obj for obj in yaml.safe_load_all(file.read_text(encoding="utf-8")) if obj is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        raise CourseError(file, mark.line + 1 if mark else 0, f"cannot be read: {error}") from error
    for obj in objects:
        complete = isinstance(obj, dict) and obj.get("apiVersion") and obj.get("kind")
        if not complete or not (obj.get("metadata") or {}).get("name"):
            raise CourseError(file, 0, "every document needs apiVersion, kind and metadata.name")
    return tuple(json.loads(json.dumps(obj, default=str)) for obj in objects)


def _key(obj: dict[str, Any]) -> tuple[str, ...]:
    metadata = obj["metadata"]
    return obj["apiVersion"], obj["kind"], metadata.get("namespace", ""), metadata["name"]


def _lines_of_documents(file: Path) -> list[int]:
    """The first lines of a YAML file's documents, but for empty ones."""
    nodes = yaml.compose_all(file.read_text(encoding="utf-8"), yaml.SafeLoader)
    return [node.start_mark.line + 1 for node in nodes if node is not None and node.tag != "tag:yaml.org,2002:null"]


def _manifest_files(folder: Path, front: LabFront) -> Iterator[Path]:
    if "fleet" in front.needs:
        yield from sorted((folder.parent / BASE).glob("*.yaml"))
    yield from sorted((folder / "manifests").glob("*.yaml"))


def _load_solution(file: Path, model: type[Front]) -> tuple[Path, Front, tuple[Fence, ...]]:
    document = frontmatter.read(file)
    front = frontmatter.parse(document, model)
    _, sections = markdown.sections(file, document.body)
    fences = tuple(fence for section in sections for fence in section.fences)
    if not any(not fence.no_run for fence in fences):
        raise CourseError(file, 0, "a solution without commands: write them as ```bash blocks")
    return file, front, fences


def _consistent(lab: Lab) -> None:
    chapter = lab.folder / CHAPTER
    seen: set[str] = set()
    for task in lab.tasks:
        if task.id in seen:
            raise CourseError(chapter, task.line, f"task {task.id!r} is there twice")
        seen.add(task.id)
        for check in task.checks:
            if not check.startswith(f"{lab.id}."):
                raise CourseError(chapter, task.line, f"check {check!r}: expected a name that starts with {lab.id!r}.")
    for solution in lab.solutions:
        _consistent_solution(lab, solution)


def _consistent_solution(lab: Lab, solution: Solution) -> None:
    file, front, tasks = solution.file, solution.front, {task.id: task for task in lab.tasks}
    if not tasks:
        raise CourseError(file, 0, "a solution of a chapter without a task: a task is a heading '## Task: …'")
    if front.task not in tasks:
        raise CourseError(file, frontmatter.line_of(file, "task"), found("entry 'task'", front.task, tasks))
    checks = tasks[front.task].checks
    if isinstance(front, WrongFront) and front.fails not in checks:
        raise CourseError(file, frontmatter.line_of(file, "fails"), found("entry 'fails'", front.fails, checks))
    if front.after not in ("", "start", *tasks):
        line = frontmatter.line_of(file, "after")
        raise CourseError(file, line, found("entry 'after'", front.after, ["start", *tasks]))

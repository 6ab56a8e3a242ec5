"""The package itself: its layers, its surface, its wheel."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

import archsearch
from archsearch import errors
from tests.support.processes import REPOSITORY

PACKAGE = REPOSITORY / "archsearch"

# From the ground up: a room imports from itself and from the rooms before it. The commands stand above all of them.
ROOMS = "errors system config model data tracking training compose runs sweep search report deploy".split()
COMMANDS = set("__init__ __main__ api results cli check draw export predict register schema ui".split())


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return name.removesuffix(".__init__") if "." in name else name


def imports_of(path: Path) -> set[str]:
    """What a module imports of the package, wherever in the file, except for type checking."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    modules = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            modules |= {module_in_package(alias.name, "") for alias in node.names if is_ours(alias.name)}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module and is_ours(node.module):
                modules |= {module_in_package(node.module, alias.name) for alias in node.names}
    return modules


def is_ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] == "archsearch"


def module_in_package(module: str, name: str) -> str:
    """The module that `from module import name` needs: a module of that name, a room, or `module` itself."""
    inner = module.removeprefix("archsearch").removeprefix(".")
    candidate = f"{inner}.{name}".strip(".")
    file = PACKAGE / candidate.replace(".", "/")
    return candidate if candidate and (file.with_suffix(".py").exists() or file.is_dir()) else inner or "__init__"


def imports() -> dict[str, set[str]]:
    """Every module of the package, and what it imports of it."""
    return {module_of(path): imports_of(path) for path in PACKAGE.rglob("*.py")}


def room_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def test_the_house_has_these_rooms_and_commands() -> None:
    top = {room_of(module) for module in imports()}
    assert top == {*ROOMS, *COMMANDS}
    assert len(ROOMS) - 1 <= 12 and len(COMMANDS | {"errors"}) <= 13


def test_imports_between_rooms_run_downwards_only() -> None:
    upwards = [
        f"{module} -> {other}"
        for module, others in imports().items()
        for other in others
        if room_of(module) in ROOMS
        and other != "__init__"  # the version
        and not module.endswith("__main__")
        and (room_of(other) in COMMANDS or ROOMS.index(room_of(other)) > ROOMS.index(room_of(module)))
    ]
    assert not upwards


def test_no_modules_import_each_other() -> None:
    graph = {module: others - {module} for module, others in imports().items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_every_room_says_what_it_is_for() -> None:
    for room in ROOMS[1:]:
        purpose = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
        assert len(purpose) > 100, room


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=module_of)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_only_tracking_knows_mlflow_and_only_the_command_line_knows_hydra() -> None:
    of_sweep = ("composer", "grid", "values", "plan", "job", "launcher", "sweeper")
    for library, allowed in (
        ("mlflow", {f"tracking.{name}" for name in "mlflow_recorder models reader registry run_opening store".split()}),
        (
            "hydra",
            {"cli"}
            | {f"compose.{name}" for name in ("composition", "culprits", "explain", "overrides", "session")}
            | {f"sweep.{name}" for name in of_sweep}
            | {f"search.{name}" for name in ("grammar", "setup", "sweeper")},
        ),
    ):
        users = {
            module_of(path)
            for path in PACKAGE.rglob("*.py")
            if re.search(rf"^\s*(import|from) {library}\b", path.read_text(), re.MULTILINE)
        }
        assert users == allowed


def test_every_export_is_real_and_sorted() -> None:
    assert sorted(archsearch.__all__) == sorted(set(archsearch.__all__))
    for name in archsearch.__all__:
        assert getattr(archsearch, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = archsearch.nothing  # type: ignore[attr-defined]


def test_the_error_tree_is_the_one_that_is_drawn() -> None:
    drawn = re.findall(r"\w+Error\b", errors.__doc__ or "")
    real = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    assert sorted(drawn) == sorted(real)
    assert errors.UserError("x").exit_status == 2 and errors.RunError("x").exit_status == 1

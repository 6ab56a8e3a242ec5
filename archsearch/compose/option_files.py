"""The files of options (`conf/model/mine.yaml`): which there are, and what is wrong with those that Hydra refuses."""

import re
from collections.abc import Sequence
from pathlib import Path

from yaml import MarkedYAMLError

from archsearch.compose.overrides import config_folder
from archsearch.errors import Problem, did_you_mean

_NOT_READ = (".yml", ".YAML", ".YML", ".json")


def group_options(folders: Sequence[Path] | None = None) -> dict[str, list[str]]:
    """The options of every group in `folders`: those of archsearch and of the working directory, unless given."""
    options: dict[str, set[str]] = {}
    for folder in [config_folder(), Path("conf")] if folders is None else folders:
        for path in folder.glob("*/*.yaml"):
            options.setdefault(path.parent.name, set()).add(path.stem)
    return {group: sorted(names) for group, names in sorted(options.items())}


def options_that_set(setting: str) -> list[str]:
    """The options of a group (`image_folder` of `data`) whose files have `setting` (`data.size`)."""
    group, _, name = setting.rpartition(".")
    line = re.compile(rf"^{re.escape(name)}:", re.MULTILINE)
    files = [
        folder / group / f"{option}.yaml"
        for option in group_options().get(group, [])
        for folder in (config_folder(), Path("conf"))
    ]
    texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()}
    return sorted({file.stem for file, text in texts.items() if line.search(text)})


def unknown_option(
    group: str, option: str, options: Sequence[str], folders: Sequence[Path], where: str = ""
) -> Problem:
    """`option` is none of the `options` of `group`; `where` says which file names it."""
    for suffix in _NOT_READ:
        for folder in folders:
            file = folder / group / f"{option}{suffix}"
            if file.is_file():
                rule = f"but {_shown(file)} is not read; rename it to {option}.yaml"
                return Problem(group, f"got {option!r}{where}, {rule}")
    meant = did_you_mean(option.rpartition("/")[2], options)
    got = repr(option) if re.fullmatch(r"(?!null$)[\w./-]+", option) else option  # or null, or a list
    return Problem(group, f"got {got}{where}, must be one of {', '.join(options)}{meant}")


def problem_of_file(error: Exception, culprit: str, folders: Sequence[Path]) -> Problem | None:
    """What is wrong with a file, so that Hydra refused the override `culprit` with `error`; None if no file is."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        file = Path(error.problem_mark.name)
        return Problem(file.parent.name, _syntax_error(error, file))
    if isinstance(error, UnicodeDecodeError):
        for file in [path for folder in folders for path in sorted(folder.glob("*/*.yaml"))]:
            if error.object in file.read_bytes():
                line = error.object[: error.start].count(b"\n") + 1
                rule = "contains characters that are not UTF-8; save the file as UTF-8"
                return Problem(file.parent.name, f"{_shown(file)}, line {line}, {rule}")
    return _problem_of_defaults(error, culprit, folders)


def _syntax_error(error: MarkedYAMLError, file: Path) -> str:
    mark, begin = error.problem_mark, error.context_mark
    assert mark is not None
    problem, context = str(error.problem), error.context or ""
    if problem.startswith("but "):  # "expected a single document" "but found another document"
        problem, context = f"{context} {problem}", ""
    context = f" ({context} that begins in line {begin.line + 1})" if context and begin is not None else ""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    line = lines[mark.line] if mark.line < len(lines) else ""
    advice = "; indent with spaces" if "\\t" in problem else ""
    if "another document" in problem:
        advice = "; leave out the --- between them"
    if "${" in line and "'{'" in problem:
        advice = '; an interpolation between braces needs quotes, as in "${..conv1.channels}"'
    return f"{_shown(file)}, line {mark.line + 1}: {problem}{context}{advice}"


def _problem_of_defaults(error: Exception, culprit: str, folders: Sequence[Path]) -> Problem | None:
    """What is wrong with a file's `defaults:`."""
    text = str(error)
    if match := re.match(r"Invalid defaults list in '(.+?)', defaults must be a list", text):
        rule = "`defaults` must be a list, with its entries after `-` or between [ and ]"
        return Problem(match[1].rpartition("/")[0], f"{_file_of(match[1], folders)}: {rule}")
    if match := re.match(r"In '(.+?)': Could not override '(.+?)'", text):
        groups = [f"/{group}" for group in group_options(folders)]
        last = f"/{match[2].rpartition('/')[2]}"
        rule = f"must be one of {', '.join(groups)}{did_you_mean(last, groups)}"
        return Problem(
            match[1].rpartition("/")[0],
            f"got 'override {match[2]}' in the `defaults` of {_file_of(match[1], folders)}, {rule}",
        )
    match = re.match(r"In '(.+?)': Could not (?:find|load) '(.+?)'", text)
    if match is None or match[1].startswith("hydra/"):
        return None
    place, (group, _, option) = match[1], match[2].rpartition("/")
    if "/" not in place:  # the command line, or a file that it names and that overrides a group
        if culprit.endswith(f"={option}"):
            return None
        if "=[" in culprit:
            return unknown_option(group, option, group_options(folders).get(group, []), folders)
        place = culprit.lstrip("+").replace("=", "/", 1)
    own = place.rpartition("/")[0]
    options = group_options(folders)
    if group not in options and match[2].startswith(f"{own}/"):
        group, option = own, match[2].removeprefix(f"{own}/")
    return unknown_option(
        group, option, options.get(group, []), folders, f" in the `defaults` of {_file_of(place, folders)}"
    )


def _file_of(name: str, folders: Sequence[Path]) -> str:
    files = [folder / f"{name}.yaml" for folder in folders]
    return _shown(next((file for file in files if file.is_file()), Path(f"{name}.yaml")))


def _shown(file: Path) -> str:
    """The path of `file`, from the working directory where it lies in it."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)

"""The words of a command line, before Hydra parses them: commands, flags and overrides of the wrong form. No torch."""

from collections.abc import Sequence

from archsearch.compose.known_settings import known_settings, likely_config
from archsearch.compose.option_files import group_options
from archsearch.compose.overrides import as_word, config_folder, flags, is_flag, takes_value
from archsearch.compose.suggestions import similar_settings
from archsearch.errors import Problem, did_you_mean

COMMANDS = ("train", "check", "draw", "report", "predict", "export", "register", "ui", "schema", "help")
_FORM = "must have the form setting=value"
_NO_SPACES = f"{_FORM}, without spaces around ="
_NO_COMMANDS = {
    "sweep": "a sweep is `archsearch -m ...`",
    "run": "a run is `archsearch ...`, or `archsearch train ...`",
    "version": "use --version",
}


def is_bare(word: str) -> bool:
    """Whether `word` is neither a flag nor an override: a command, or something forgotten."""
    return "=" not in word and not word.startswith(("~", "-"))


def unknown_command(word: str) -> Problem | None:
    """What is wrong with the bare `word` that a command line begins with; None if it names a setting."""
    if word in _NO_COMMANDS:
        return Problem(word, f"unknown command; {_NO_COMMANDS[word]}")
    config = likely_config([])
    if "." in word or not word or word in config:
        return None
    hint = did_you_mean(word, COMMANDS)
    if not hint and similar_settings(word, config):
        return None
    for group, options in group_options().items():
        if word in options:
            hint = hint or f" (did you mean {group}={word}?)"
    return Problem(word, f"unknown command{hint or '; the commands are ' + ', '.join(COMMANDS)}")


def check_words(arguments: Sequence[str]) -> tuple[list[Problem], list[str]]:
    """What is wrong with the form of the words of a command line, and those that have the right form."""
    problems: list[Problem] = []
    accepted: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            if is_flag(word):
                accepted.append(word)
                if words and takes_value(word, words[0]):
                    accepted.append(words.pop(0))
            else:
                problems.append(_unknown_flag(word, words, arguments))
        elif is_bare(word) and words and words[0].startswith("="):  # `dropout = 0.1`, or `dropout =0.1`
            if words.pop(0) == "=" and words and is_bare(words[0]):
                words.pop(0)
            problems.append(Problem(word, _NO_SPACES))
        elif is_bare(word):
            problems.append(_without_value(word, arguments))
        elif word.endswith("=") and words and is_bare(words[0]) and words[0] not in COMMANDS:
            words.pop(0)
            problems.append(Problem(word.rstrip("= "), _NO_SPACES))
        elif not word.startswith("~") and _is_spaced(word):
            problems.append(Problem(word.partition("=")[0].strip() or word, _NO_SPACES))
        elif (problem := _wrong_options(word)) is not None:
            problems.append(problem)
        else:
            accepted.append(word)
    return problems, accepted


def _wrong_options(word: str) -> Problem | None:
    """What is wrong with `word` if it chooses options in a way that Hydra would refuse, or accept but not combine."""
    setting, _, value = word.partition("=")
    group = setting.lstrip("+")
    if setting in ("+augment", "++augment"):
        return Problem(group, f"got {word}, must be one list of all transforms, as in augment=[crop,flip]")
    if group != setting and group in group_options([config_folder()]):
        return Problem(group, f"got {word}, must be written without +, as in {as_word(f'{group}={value}')}")
    options = group_options().get(setting) if value.startswith("[") else None
    if options is None or setting in ("augment", "experiment"):
        return None
    return Problem(setting, f"got {value}, must be one option, without brackets: {', '.join(options)}")


def _is_spaced(word: str) -> bool:
    setting, _, value = word.partition("=")
    return not setting or len(setting.split()) > 1 or setting != setting.strip() or value.startswith("=")


def _without_value(word: str, arguments: Sequence[str]) -> Problem:
    if word in COMMANDS:
        return Problem(word, f"a command comes first, as in `archsearch {word}`")
    config = likely_config(arguments)
    setting = word.lstrip("+")
    known = setting in config or setting in known_settings(config)
    similar = [] if known else similar_settings(setting, config)
    hint = f", as in {similar[0]}=..." if similar else ""
    return Problem(word or "''", f"{_FORM}{hint}")


def _unknown_flag(flag: str, following: list[str], arguments: Sequence[str]) -> Problem:
    """What is wrong with a flag that does not exist. Its value is taken from the words that follow it."""
    name, equals, value = flag.partition("=")
    setting = name.lstrip("-").replace("-", "_")
    similar = similar_settings(setting, likely_config(arguments)) if setting else []
    if not similar:
        return Problem("command line", f"unknown flag {name}{did_you_mean(name, flags())}; see --help")
    if not equals:
        value = following.pop(0) if following and is_bare(following[0]) else "..."
    rule = f"settings are written without dashes: {similar[0]}={value}"
    return Problem("command line", f"unknown flag {name}; {rule}")

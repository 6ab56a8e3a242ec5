"""What can go wrong, as one tree.

ArchsearchError                 message for people, no traceback
├── UserError                   exit status 2: mend the command or the configuration
│   ├── ConfigError             settings that cannot work, all of them at once
│   ├── DataError               data that are missing or damaged
│   ├── StorageError            a folder that cannot be written
│   ├── TrackingError           a tracking store that cannot be reached or read
│   ├── ResumeError             a run that cannot be continued
│   └── ReportError             runs that cannot be found or compared
└── RunError                    exit status 1: the run itself failed
    ├── NonFiniteLossError      the loss became NaN or infinite
    ├── OutOfMemoryError        the model and its batch do not fit
    ├── TimeLimitError          a variant took longer than its sweep allows
    └── SweepError              a sweep of which not every variant was trained
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class ArchsearchError(Exception):
    """Base of every error that archsearch raises on purpose."""

    exit_status = 1


class UserError(ArchsearchError):
    """Something that a person can mend in the command or the configuration."""

    exit_status = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the setting's path, and what is wrong with it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(UserError):
    """A configuration that cannot work. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


class DataError(UserError):
    """Data that are missing, damaged, or not what their name says."""


class StorageError(UserError):
    """A folder or file that cannot be written."""


class TrackingError(UserError):
    """A tracking store that cannot be reached or read."""


class ResumeError(UserError):
    """A run that cannot be continued."""


class ReportError(UserError):
    """Runs that cannot be found, or not be compared."""


class RunError(ArchsearchError):
    """A run that started and could not be finished."""


class NonFiniteLossError(RunError):
    """The training loss became NaN or infinite."""


class OutOfMemoryError(RunError):
    """The model and its batch need more memory than there is."""


class TimeLimitError(RunError):
    """A variant took longer than its sweep allows."""


class SweepError(RunError):
    """A sweep of which not every variant was trained."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` where something in `known` resembles `word`, else nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def first_line(error: BaseException) -> str:
    """The first line of what `error` says, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

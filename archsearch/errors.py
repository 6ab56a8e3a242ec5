"""The exceptions of archsearch, as one tree.

ArchsearchError                 printed as a message, without a traceback
├── UserError                   exit status 2: correct the command or the configuration
│   ├── ConfigError             invalid settings, all of them at once
│   ├── PluginError             a module with blocks of one's own that cannot be imported
│   ├── DataError               missing or damaged data
│   ├── StorageError            a folder or file that cannot be written
│   ├── TrackingError           a tracking store that cannot be reached or read
│   ├── ResumeError             a run or sweep that cannot be resumed
│   └── ReportError             runs that cannot be found or compared
└── RunError                    exit status 1: the run itself failed
    ├── NonFiniteLossError      the loss became NaN or infinite
    ├── OutOfMemoryError        model and batch do not fit into memory
    ├── TimeLimitError          a run exceeded the time limit of its sweep
    └── SweepError              some runs of a sweep were not trained
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class ArchsearchError(Exception):
    """Base of every error that archsearch raises on purpose."""

    exit_status = 1


class UserError(ArchsearchError):
    """An error that the user can correct in the command or the configuration."""

    exit_status = 2


@dataclass(frozen=True)
class Problem:
    """One invalid setting: its path, and what is wrong with it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(UserError):
    """An invalid configuration. `problems` holds all its errors, without duplicates."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(UserError):
    """A module with blocks of one's own cannot be imported."""


class DataError(UserError):
    """Data are missing, damaged, or not the data set that their name says."""


class StorageError(UserError):
    """A folder or file cannot be written."""


class TrackingError(UserError):
    """A tracking store cannot be reached or read."""


class ResumeError(UserError):
    """A run or sweep cannot be resumed."""


class ReportError(UserError):
    """Runs cannot be found or compared."""


class RunError(ArchsearchError):
    """A run started but could not finish."""


class NonFiniteLossError(RunError):
    """The training loss became NaN or infinite."""


class OutOfMemoryError(RunError):
    """Model and batch do not fit into memory."""


class TimeLimitError(RunError):
    """A run exceeded the time limit of its sweep."""


class SweepError(RunError):
    """Some runs of a sweep were not trained."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """` (did you mean X?)` if one of `choices` resembles `word`, in any case, else an empty string."""
    by_lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""


def first_line(error: BaseException) -> str:
    """The first line of the message of `error`, or its class name if there is no message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

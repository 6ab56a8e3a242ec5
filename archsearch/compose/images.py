"""`input=CxHxW` and `classes=N`: images that are not those of the data set, for commands that only look at a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from archsearch.compose.request import Request
from archsearch.compose.validate import ValidationResult, named_dataset, validate
from archsearch.config.schema import LARGEST_SIZE
from archsearch.config.settings import Settings
from archsearch.data.info import DatasetInfo
from archsearch.errors import ConfigError, Problem

IMAGE_WORDS = ("input=", "classes=")


@dataclass(frozen=True)
class Images:
    """What `words` say of the images. The data set says the rest."""

    words: Sequence[str]

    def dataset(self, settings: Settings) -> DatasetInfo:
        """The data set of `settings`, with these images. Raises `ConfigError`."""
        dataset = named_dataset(settings)
        problems = []
        for word in self.words:
            name, _, value = word.partition("=")
            texts = value.split("x")
            sizes = [int(text) for text in texts if re.fullmatch("[1-9][0-9]{0,4}", text) and int(text) <= LARGEST_SIZE]
            sizes = sizes if len(sizes) == len(texts) else []
            if name == "classes" and len(sizes) == 1:
                dataset = replace(dataset, classes=tuple(map(str, range(sizes[0]))))
            elif name == "input" and len(sizes) == 3:
                dataset = replace(dataset, shape=(sizes[0], sizes[1], sizes[2]))
            else:
                limits = f"from 1 to {LARGEST_SIZE:,}"
                rule = f"channels x height x width, each {limits}, as in 3x32x32"
                rule = rule if name == "input" else f"a whole number {limits}"
                problems.append(Problem(name, f"got {value!r}, must be {rule}"))
        if problems:
            raise ConfigError(problems)
        return dataset

    def validate(self, request: Request, kept_as: str) -> ValidationResult:
        """Validate the configuration of `request` for these images. Raises `ConfigError` if it resumes a run.

        Such a command line lacks the run's model; `kept_as` is the run's file of what the command would show.
        """
        resumed = request.config.get("resume")
        if resumed is not None:
            rule = f"must be left out; the run's folder has it, in {kept_as}"
            raise ConfigError([Problem("resume", f"got {resumed!r}, {rule}")])
        return validate(request.config, self.dataset)


def without_image_words(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The `arguments` that Hydra reads, and those that say what the images are."""
    words = [argument for argument in arguments if argument.startswith(IMAGE_WORDS)]
    return [argument for argument in arguments if argument not in words], words

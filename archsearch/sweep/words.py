"""The overrides by which a sweep tells a variant's job, whatever launches it, where it belongs."""

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from archsearch.compose.overrides import quoted
from archsearch.config.settings import VariantSettings

SUBDIR = "hydra.sweep.subdir="
VARIANT = "++variant="


def job_words(words: Sequence[str], folder: str, variant: VariantSettings) -> list[str]:
    """A variant's overrides, its `folder` within the sweep's, and which variant it is."""
    said = {name: value for name, value in vars(variant).items() if not name.startswith("_")}
    inside = ",".join(f"{name}:{_literal(value)}" for name, value in said.items())
    return [*words, f"{SUBDIR}{quoted(folder)}", f"{VARIANT}{{{inside}}}"]


def subdir_of(master: DictConfig, number: int, words: Sequence[str]) -> str:
    """The folder of a job within its sweep's: as `words` say, else as `hydra.sweep.subdir` says."""
    for word in words:
        if word.startswith(SUBDIR):
            return str(OverridesParser.create().parse_override(word).value())
    if OmegaConf.to_container(master.hydra.sweep)["subdir"] == "${hydra.job.num}":  # type: ignore[index,call-overload]
        return str(number)
    with_number = OmegaConf.masked_copy(master, "hydra")
    with read_write(with_number), open_dict(with_number):
        with_number.hydra.job.num = number
        with_number.hydra.job.id = str(number)
        with_number.hydra.job.override_dirname = ",".join(word.lstrip("+") for word in words)
    return str(OmegaConf.select(with_number, "hydra.sweep.subdir"))


def _literal(value: object) -> str:
    return "null" if value is None else str(value) if isinstance(value, int) else quoted(str(value))

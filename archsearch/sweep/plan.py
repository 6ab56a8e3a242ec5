"""All variants of a sweep, judged before any of them is trained. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from archsearch.compose.request import Request
from archsearch.compose.validate import examine
from archsearch.config.settings import Settings
from archsearch.data.definitions import Definition
from archsearch.errors import ConfigError, Problem, UserError
from archsearch.model.plan import Plan
from archsearch.runs.formatting import aligned, duration
from archsearch.sweep.composer import Composer
from archsearch.sweep.estimate import estimate
from archsearch.sweep.fingerprint import fingerprint
from archsearch.sweep.grid import Row, labels

# READY can be trained, REJECTED is outside of the constraints, BROKEN cannot work, DUPLICATE is another one again.
Verdict = Literal["READY", "REJECTED", "BROKEN", "DUPLICATE"]


@dataclass(frozen=True)
class Variant:
    """One variant: what it is (as far as that can be told), and whether it can be trained."""

    number: int
    row: Row
    verdict: Verdict
    problems: tuple[Problem, ...] = ()
    request: Request | None = None
    settings: Settings | None = None
    network: Plan | None = None
    fingerprint: str | None = None
    seconds: float | None = None  # of training, estimated
    same_as: int | None = None

    @property
    def reason(self) -> str | None:
        """Why it is not trained, in one line."""
        if self.same_as is not None:
            return f"the same as {self.same_as}"
        return "; ".join(map(str, self.problems)) or None


def judge_variants(
    numbers: Sequence[int],
    rows: Sequence[Row],
    composer: Composer,
    define: Callable[[Settings], Definition],
    slowness: float = 1.0,
    watch: Callable[[], object] = lambda: None,
) -> list[Variant]:
    """Compose and judge each row; `define` says which data set settings mean, `watch` is called after each."""
    variants: list[Variant] = []
    first: dict[str, int] = {}
    for number, row in zip(numbers, rows, strict=True):
        variant = _judged(number, row, composer, define, slowness)
        if variant.verdict == "READY" and variant.fingerprint is not None:
            same_as = first.setdefault(variant.fingerprint, number)
            if same_as != number:
                variant = replace(variant, verdict="DUPLICATE", same_as=same_as)
        variants.append(variant)
        watch()
    return variants


def _judged(
    number: int, row: Row, composer: Composer, define: Callable[[Settings], Definition], slowness: float
) -> Variant:
    try:
        request = composer.request(row.words, number)
        verdict = examine(request.config, define)
    except UserError as error:
        problems = error.problems if isinstance(error, ConfigError) else [Problem("data", str(error))]
        return Variant(number, row, "BROKEN", tuple(problems))
    if verdict.problems or verdict.settings is None or verdict.spec is None or verdict.network is None:
        return Variant(number, row, "BROKEN", verdict.problems, request)
    return Variant(
        number,
        row,
        "REJECTED" if verdict.violations else "READY",
        verdict.violations,
        request,
        verdict.settings,
        verdict.network,
        fingerprint(verdict.spec, verdict.settings, verdict.definition),
        estimate(verdict.settings, verdict.network, verdict.definition, slowness),
    )


def broken_together(variants: Sequence[Variant]) -> ConfigError | None:
    """What is wrong with the broken ones among `variants`, as one error; a problem of several of them is said once."""
    concerned: dict[Problem, list[Variant]] = {}
    for variant in variants:
        if variant.verdict == "BROKEN":
            for problem in variant.problems:
                concerned.setdefault(problem, []).append(variant)
    if not concerned:
        return None
    if all(len(found) == len(variants) for found in concerned.values()):
        return ConfigError(concerned)
    problems = [Problem(problem.path, f"{problem.message} ({_named(found)})") for problem, found in concerned.items()]
    number = sum(variant.verdict == "BROKEN" for variant in variants)
    advice = f"{number} of {len(variants)} variants cannot be trained; mend them, or skip them with sweep.invalid=skip"
    return ConfigError([*problems, Problem("sweep", advice)])


def _named(variants: Sequence[Variant]) -> str:
    shown = [f"{variant.number}: {variant.row.name}" for variant in variants[:3]]
    more = f", and {len(variants) - 3} more" if len(variants) > 3 else ""
    return f"variant{'s' if len(variants) > 1 else ''} {', '.join(shown)}{more}"


def plan_table(variants: Sequence[Variant], workers: int) -> str:
    """The plan of a sweep as text: a row a variant, and what it comes to."""
    keys = list(variants[0].row.values) if variants else []
    rows: list[tuple[str, ...]] = [("#", *labels(keys), "params", "MACs", "receptive field", "est. time", "")]
    for variant in variants:
        network = variant.network
        numbers = (
            ("-", "-", "-")
            if network is None
            else (f"{network.params:,}", f"{network.macs:,}", str(network.receptive_field))
        )
        time = "-" if variant.seconds is None or variant.verdict != "READY" else duration(variant.seconds)
        remark = "" if variant.verdict == "READY" else f"{variant.verdict.lower()}: {variant.reason}"
        rows.append((str(variant.number), *variant.row.values.values(), *numbers, time, remark))
    return "\n".join([*aligned(rows), "", plan_line(variants, workers)])


def plan_line(variants: Sequence[Variant], workers: int, todo: Sequence[Variant] | None = None) -> str:
    """What a plan comes to, in one line; `todo` are those that are left to train, all that can be unless given."""
    ready = [variant for variant in variants if variant.verdict == "READY"]
    left = ready if todo is None else todo
    others = [
        f"{count} {verdict.lower()}"
        for verdict in ("REJECTED", "BROKEN", "DUPLICATE")
        if (count := sum(variant.verdict == verdict for variant in variants))
    ]
    if len(left) < len(ready):
        others.insert(0, f"{len(ready) - len(left)} trained already")
    times = [variant.seconds or 0.0 for variant in left]
    wall = max(sum(times) / workers, max(times, default=0.0))
    said = [f"{len(variants)} variant{'s' if len(variants) != 1 else ''}: {len(left)} to train", *others]
    return ", ".join(said) + f"; about {duration(wall)} with {workers} worker{'s' if workers > 1 else ''}, estimated"

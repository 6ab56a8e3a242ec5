#!/usr/bin/env python3
"""How often the report claims a difference, true or false, in simulated studies; nothing is trained.

usage: python benchmarks/verdicts.py [--studies 10000]

Accuracies of runs are drawn from a normal distribution with the reference's standard deviation between seeds, 0.06
points, and rounded to the resolution of 10,000 images. The tables compare the report's verdict (Welch's t-test, Holm,
and the second half of the rule of Bouthillier et al.) with the paired t-test, the whole rule of Bouthillier et al., and
taking the better mean.
"""

from collections.abc import Sequence

import numpy as np
from arguments import parser_of
from numpy.typing import NDArray
from tqdm import tqdm

from archsearch.report import statistics
from archsearch.report.leaderboard import rank
from archsearch.report.study import Study, StudyRun, Variant
from archsearch.report.verdict import ALPHA, against, compare

SPREAD, LEVEL, GAP = 0.06, 99.3, 0.10
RULES = ("report", "paired t", "Bouthillier", "better mean")


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, and print the tables."""
    parser = parser_of(__doc__)
    parser.add_argument("--studies", type=int, default=10_000)
    studies = parser.parse_args(argv).studies
    random = np.random.default_rng(0)
    two_variants(studies, random)
    several_variants(studies // 10, random)


def study_of(scores: NDArray[np.float64]) -> Study:
    """A study of variants (rows) over seeds (columns), in this order."""
    variants = []
    for index, row in enumerate(np.round(scores, 2)):
        runs = {
            seed: StudyRun(f"{index}-{seed}", "", "FINISHED", "", seed, {}, "mnist", "", validation=float(score))
            for seed, score in enumerate(row)
        }
        variants.append(Variant(str(index), {}, runs))
    return Study(variants, [])


def claims_of(study: Study) -> dict[str, bool]:
    """For each of `RULES`, whether it calls one of two variants better than the other."""
    first, second = study.variants
    comparison = compare(first, second, study)
    paired = comparison.paired
    claims = (
        comparison.verdict in ("better", "worse"),
        paired is not None and paired.p < ALPHA,
        comparison.conclusion == "significant and meaningful",
        comparison.difference.value != 0,
    )
    return dict(zip(RULES, claims, strict=True))


def two_variants(studies: int, random: np.random.Generator) -> None:
    """Print how often each rule claims a difference between two variants, by the number of seeds."""
    for gap, what in ((0.0, "identical variants: called different"), (GAP, f"a true difference of {GAP:.2f}: found")):
        print(f"\n{what}, % of {studies:,} studies")
        print(f"{'seeds':>5}  " + "  ".join(f"{rule:>12}" for rule in RULES))
        for seeds in (2, 3, 5, statistics.seeds_needed(GAP, SPREAD) or 0, 10, 29):
            counts = dict.fromkeys(RULES, 0)
            for _ in tqdm(range(studies), desc=f"{seeds} seeds", leave=False):
                scores = random.normal([[LEVEL + gap], [LEVEL]], SPREAD, (2, seeds))
                for rule, claim in claims_of(study_of(scores)).items():
                    counts[rule] += claim
            print(f"{seeds:>5}  " + "  ".join(f"{100 * count / studies:>12.1f}" for count in counts.values()))


def several_variants(studies: int, random: np.random.Generator) -> None:
    """Print how often any difference is claimed between several identical variants."""
    print(f"\nidentical variants, 5 seeds each: any difference claimed, % of {studies:,} studies")
    print(f"{'variants':>8}  {'leaderboard':>12}  {'baseline=':>12}")
    for variants in (3, 10, 30):
        counts = np.zeros(2)
        for _ in tqdm(range(studies), desc=f"{variants} variants", leave=False):
            study = study_of(random.normal(LEVEL, SPREAD, (variants, 5)))
            ranked = Study(sorted(study.variants, key=lambda variant: -(variant.mean() or 0)), [])
            comparisons = against(study.variants[0], study).values()
            counts += [
                any((row.place or 1) > 1 for row in rank(ranked).rows),
                any(comparison.verdict in ("better", "worse") for comparison in comparisons),
            ]
        print(f"{variants:>8}  " + "  ".join(f"{100 * count / studies:>12.1f}" for count in counts))


if __name__ == "__main__":
    main()

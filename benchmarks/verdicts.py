#!/usr/bin/env python3
"""How often the report is wrong, and how often it finds what is there: simulated studies, nothing is trained.

usage: python benchmarks/verdicts.py [--studies 10000]

Every run's accuracy is drawn from a normal distribution with the spread of the reference between seeds, 0.06 points,
and rounded to what 10,000 images can show. Beside the report's verdict (Welch's t-test, Holm, and the second half of
Bouthillier et al.'s rule) the table has what else could have decided: the paired t-test, the whole rule of
Bouthillier et al., and taking the better mean.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from archsearch.report import statistics
from archsearch.report.leaderboard import rank
from archsearch.report.study import Study, StudyRun, Variant
from archsearch.report.verdict import ALPHA, against, compare

SPREAD, LEVEL, GAP = 0.06, 99.3, 0.10


def study_of(scores: NDArray[np.float64]) -> Study:
    """A study of variants (rows) over seeds (columns), in their order."""
    variants = []
    for at, row in enumerate(np.round(scores, 2)):
        trials = {
            seed: StudyRun(f"{at}-{seed}", "", "FINISHED", "", seed, {}, "mnist", "", validation=float(score))
            for seed, score in enumerate(row)
        }
        variants.append(Variant(str(at), {}, trials))
    return Study(variants, [])


def rules(study: Study) -> dict[str, bool]:
    """Which of the rules call either of two variants better than the other."""
    comparison = compare(*study.variants, study)
    paired = comparison.paired
    return {
        "report": comparison.verdict in ("better", "worse"),
        "paired t": paired is not None and paired.p < ALPHA,
        "Bouthillier": comparison.conclusion == "significant and meaningful",
        "better mean": comparison.difference.value != 0,
    }


def two_variants(studies: int, random: np.random.Generator) -> None:
    """Tables of false claims and of found differences, by the number of seeds."""
    for gap, what in ((0.0, "identical variants: called different"), (GAP, f"a true difference of {GAP:.2f}: found")):
        print(f"\n{what}, % of {studies:,} studies")
        print(f"{'seeds':>5}  {'report':>12}  {'paired t':>12}  {'Bouthillier':>12}  {'better mean':>12}")
        for seeds in (2, 3, 5, statistics.seeds_needed(GAP, SPREAD) or 0, 10, 29):
            counts = dict.fromkeys(("report", "paired t", "Bouthillier", "better mean"), 0)
            for _ in tqdm(range(studies), desc=f"{seeds} seeds", leave=False):
                scores = random.normal([[LEVEL + gap], [LEVEL]], SPREAD, (2, seeds))
                for name, claims in rules(study_of(scores)).items():
                    counts[name] += claims
            print(f"{seeds:>5}  " + "  ".join(f"{100 * count / studies:>12.1f}" for count in counts.values()))


def several_variants(studies: int, random: np.random.Generator) -> None:
    """How often anything at all is claimed of several identical variants."""
    print(f"\nidentical variants, 5 seeds each: anything claimed, % of {studies:,} studies")
    print(f"{'variants':>8}  {'leaderboard':>12}  {'baseline=':>12}")
    for count in (3, 10, 30):
        claims = np.zeros(2)
        for _ in tqdm(range(studies), desc=f"{count} variants", leave=False):
            study = study_of(random.normal(LEVEL, SPREAD, (count, 5)))
            ranked = Study(sorted(study.variants, key=lambda variant: -(variant.mean() or 0)), [])
            comparisons = against(study.variants[0], study).values()
            claims += [
                any(row.place > 1 for row in rank(ranked).rows),
                any(each.verdict in ("better", "worse") for each in comparisons),
            ]
        print(f"{count:>8}  " + "  ".join(f"{100 * each / studies:>12.1f}" for each in claims))


def main() -> None:
    """Simulate, and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=10_000)
    studies = parser.parse_args().studies
    random = np.random.default_rng(0)
    two_variants(studies, random)
    several_variants(studies // 10, random)


if __name__ == "__main__":
    main()

"""What a search may spend, and what it has spent."""

from dataclasses import dataclass

from archsearch.config.search import Budget
from archsearch.runs.formatting import count, duration


@dataclass
class Spending:
    """Trials begun, epochs trained in all of them, and seconds of all sessions."""

    budget: Budget
    trials: int = 0
    epochs: int = 0
    seconds: float = 0.0
    begun_epochs: int = 0  # of the steps that are being trained now

    @property
    def may_begin(self) -> bool:
        """Whether another trial may begin."""
        return self.may_train and (self.budget.trials is None or self.trials < self.budget.trials)

    @property
    def may_train(self) -> bool:
        """Whether a trial that has begun may train on."""
        epochs = self.budget.epochs
        return not self.is_out_of_time and (epochs is None or self.epochs + self.begun_epochs < epochs)

    @property
    def is_out_of_time(self) -> bool:
        """Whether the seconds are used up."""
        return self.budget.seconds is not None and self.seconds >= self.budget.seconds

    @property
    def fraction(self) -> float:
        """The part of the budget that is spent: of what will be used up first, it seems."""
        pairs = (
            (self.trials, self.budget.trials),
            (self.epochs, self.budget.epochs),
            (self.seconds, self.budget.seconds),
        )
        return min(1.0, max(spent / limit for spent, limit in pairs if limit is not None))

    def limits(self) -> str:
        """`60 trials or 500 epochs`."""
        budget = self.budget
        trials = [] if budget.trials is None else [count(budget.trials, "trial")]
        epochs = [] if budget.epochs is None else [count(budget.epochs, "epoch")]
        seconds = [] if budget.seconds is None else [duration(budget.seconds)]
        return " or ".join([*trials, *epochs, *seconds])

    def describe(self) -> str:
        """`12 of 60 trials, 41 epochs, 3 min`; without epochs if there are none."""

        def of(spent: int, limit: int | None, noun: str) -> str:
            return count(spent, noun) if limit is None else f"{spent:,} of {count(limit, noun)}"

        limit = "" if self.budget.seconds is None else f" of {duration(self.budget.seconds)}"
        trials, epochs = of(self.trials, self.budget.trials, "trial"), of(self.epochs, self.budget.epochs, "epoch")
        spent = [trials, *[epochs] * bool(self.epochs or self.budget.epochs), f"{duration(self.seconds)}{limit}"]
        return ", ".join(spent)

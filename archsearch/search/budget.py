"""By how much a network exceeds the constraints."""

from archsearch.config.settings import Constraints
from archsearch.model.plan import Plan


def excess_of(constraints: Constraints, plan: Plan) -> dict[str, float]:
    """The constraints that `plan` breaks, and by how much, as fractions of their limits. Empty if it fits."""
    excess = {}
    for name, limit, amount in (
        ("max_params", constraints.max_params, plan.params),
        ("max_macs", constraints.max_macs, plan.macs),
    ):
        if limit is not None and amount > limit:
            excess[name] = (amount - limit) / limit
    least = constraints.min_receptive_field
    if least is not None and plan.receptive_field < least:
        excess["min_receptive_field"] = (least - plan.receptive_field) / least
    return excess

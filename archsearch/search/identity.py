"""The hash by which a search recognises a network: that of its plan's tree, without names."""

import json
from dataclasses import replace
from functools import cache

from archsearch.config.settings import Settings
from archsearch.data.load import named_dataset, source_of
from archsearch.model.plan import Plan
from archsearch.model.tree import Layer, Node, Parallel
from archsearch.sweep.fingerprint import fingerprint

_named = cache(named_dataset)  # once for all networks of a search


def identity(plan: Plan, settings: Settings) -> str:
    """Equal for networks that differ only in names and seed, however they are written; 16 hexadecimal digits."""
    return fingerprint(described(plan), replace(settings, seed=0), _named(source_of(settings.data)))


def described(plan: Plan) -> list[object]:
    """The network as plain values: layers with their arguments, and branches. Sequences in sequences are flattened."""
    return [list(plan.input_shape), *_described(plan.nodes)]


def _described(nodes: tuple[Node, ...]) -> list[object]:
    descriptions: list[object] = []
    for node in nodes:
        if isinstance(node, Layer):
            descriptions.append([node.kind, sorted(node.arguments.items())])
        elif isinstance(node, Parallel):
            branches: list[object] = [_described(branch.children) for branch in node.branches]
            # Which branch comes first matters only where outputs are concatenated.
            descriptions.append([node.join, branches if node.join == "concat" else sorted(branches, key=json.dumps)])
        else:
            descriptions += _described(node.children)
    return descriptions

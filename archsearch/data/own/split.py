"""The fixed rule that chooses test images where a data set has none of its own."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archsearch.data.own.collection import TEST, TRAIN

_SHARE = 6  # one image in six


def with_test_part(names: Sequence[str], labels: NDArray[np.int64], parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """`parts` with a test part if they have none: a sixth of the training images of each class, at least one.

    They are those whose names have the smallest hashes, so neither a seed nor the order on disk matters.
    """
    if (parts == TEST).any():
        return parts
    chosen = parts.copy()
    hashes = np.array(
        [hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).hexdigest() for name in names]
    )
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & (parts == TRAIN))
        count = max(len(members) // _SHARE, 1) if len(members) > 1 else 0
        chosen[members[np.argsort(hashes[members], kind="stable")[:count]]] = TEST
    return chosen

"""Trains K variants with the same layers as one network, side by side in the channels.

On a GPU a small network's step takes the time to launch it, however little it computes. K networks as one, with K times
the channels and K times the groups, take little longer than a single one. Nothing is shared between the members: each
has its own weights, statistics, image order, optimizer settings and loss.

- `rules`: which variants can be stacked, and why not (without torch)
- `layers`: the layers that torch does not have
- `network`: K networks -> one, and back
- `optimizers`: one optimizer with the settings of each member
- `scores`: each member's loss, hits and predictions
- `trainer`: the training loop
- `setup`: makes a trainer from candidates and their data
- `states`: a member's state, from which it can continue without the others

`archsearch.runs.stacked` gives each member its run folder and record.
"""

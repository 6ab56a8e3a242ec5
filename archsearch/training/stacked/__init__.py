"""Many variants trained as one network: K members with the same layers, side by side in the channels.

On a GPU a small network's step takes the time of launching it, however little it computes; K of them, as one network
with K times the channels and K times the groups, take not much longer than one. Nothing is shared: weights, statistics,
order of images, optimizer settings and the loss are each member's own.

rules       which variants can be stacked, and why not (no torch)
layers      the layers that torch does not have
network     K networks -> one, and back
optimizers  one optimizer with each member's own settings
scores      each member's loss, hits and answers
trainer     the loop
assembly    from experiments to a trainer that can start
states      a member's state, with which it can go on alone
runs        the members' runs, each with its own folder and record
"""

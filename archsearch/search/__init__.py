"""A study that chooses its own variants: it proposes networks under a budget, most of them near good ones.

Hydra calls `sweeper`. `setup` reads and validates what `loop` then does: a free worker gets the next step of a trial
that goes on (`stopping`), or a new trial, while the budget lasts (`spending`). `begun` refuses other settings when a
search goes on, `display` shows the progress; `finalists` trains the best again. `evaluation` calls a function of the
user's in place of training.

What a search has found: `trials` reads it from the folders, `importance` says which settings matter, `summary` is all
of it; `closing` prints and records it, with the tables of `front` and the figures of `pictures`. `names` are trials'.

Proposing is arithmetic, without torch (except for the sampler gp). Optuna keeps the trials; it is imported late.

What can be proposed: `grammar` reads settings with their values from Hydra's grammar (`domains`), `mutations` changes
a model's blocks and `architectures` keeps to those that can be built, `space` is both of them. `checks` plans a
candidate, compares it with the budget (`budget`) and gives it the hash by which networks are recognised (`identity`);
`feasibility` finds out beforehand whether anything fits.

Who proposes: `samplers/`, by what `objectives` say is better. `draws` gives them candidates that fit and are new.
`proposals` asks and tells, from what the study holds (`storage`). `pareto` ranks. Open `sweeper` and `proposals` first.

Where it trains: `engine` is this machine or a Ray cluster. With `joining`, several processes share a study: `postgres`
is its database, `shared` what they tell each other, `joint_loop` the loop that compares the trials of all.
"""

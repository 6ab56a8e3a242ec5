"""What a study shows: which variant is better, and which only luckier.

Reading: `options` is what was asked for, `sources` finds the runs, `study` groups them into variants and studies,
`naming` finds a variant by name.

Judging: `statistics` has the tests, `verdict` compares two variants, `leaderboard` ranks all, `pareto` is accuracy
against cost, `ablation` is what each setting does, `model_diff` and `prediction_diff` compare two variants block by
block and image by image; `findings` is all of that.

Showing: `tables`, `text`, `pictures` and `page`; `command` is `python -m archsearch.report`. Open `findings` first.
"""

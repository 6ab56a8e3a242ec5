"""Reports on a study: rankings, comparisons with significance tests, the Pareto front and the effects of settings.

Input: `options` parses the command line, `sources` finds the runs, `study` groups them into variants and studies,
`separation` says why studies of one data set are not comparable, `class_names` names networks that were
trained from Python, `failures` those of which no seed finished, `naming` finds a variant by name.

Analysis: `statistics` has the tests, `verdict` compares two variants, `leaderboard` ranks all of them, `pareto` weighs
accuracy against cost, `ablation` estimates what each setting does, `model_diff` and `prediction_diff` compare two
variants block by block and image by image. `findings` combines them.

Output: `tables`, `text`, `pictures`, `svg` and `page`. `command` is `python -m archsearch.report`.

`search_page` is the page of a search, with the plots of `search_pictures`; it shares `layout` with `page`.

Open `findings` first.
"""

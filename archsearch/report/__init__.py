"""What a study has shown: which variant is better, and which only luckier.

asked        what a command line asks for
study        runs as trials, trials of one configuration as a variant, variants on the same data as a study
sources      where the runs of a report come from: sweeps' folders, run folders, MLflow
naming       which variant a person means
verdict      two variants: better, worse, or not to be told apart
leaderboard  all variants, ranked, ties shown as ties
front        accuracy against parameters, MACs or time
ablation     what each setting does with the others held fixed, and which of them matter
diff         two architectures, block by block
versus       two variants, image by image
findings     all of that, worked out once
pictures     the plots, as SVG that takes its colours from the page
tables       what the terminal and the page both show, as rows
text         for the terminal
page         one HTML file that needs nothing else
command      `python -m archsearch.report`
"""

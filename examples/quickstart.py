"""Train a run and a sweep, and compare them: half a minute on two cores. Results go to outputs/."""

import archsearch

run = archsearch.train("model=session5_step1", "data=digits", "trainer.epochs=5")
print(run.metrics[["train/loss", "val/accuracy"]])
print(run.predictions.query("label != prediction").head())
print(run.network())

sweep = archsearch.run_sweep(
    "data=digits", "trainer.epochs=5", "model=session5_step1", "model.width=0.5,1", "seed=1,2,3"
)
print(sweep.variants[["model.width", "params", "val_final", "val_final_sd"]])
print(archsearch.make_report().leaderboard[["variant", "validation", "difference", "verdict"]])

"""What leaves archsearch: predictions of images, exported files and registered models, each from a trained run.

Everything here takes raw pixels: a network goes with its preprocessing (`model/classifier.py`). Open `chosen.py` first,
which finds the run. Then `predictions.py`, `exporting.py` or `registering.py`, for the command of that name.
"""

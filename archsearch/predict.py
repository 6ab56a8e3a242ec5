"""`python -m archsearch.predict`: the classes of image files, by a trained network."""

from collections.abc import Sequence

from archsearch.system.command import run_command, starting

HELP = """archsearch predict: the classes of images, by a trained network

  archsearch predict run=last a.png b.jpg   these files
  archsearch predict run=best photos/       the images in a folder
  archsearch predict run=3fa9 - < a.png     the image on standard input

Settings:
  run=last         id or folder of a run, last, or best: the best run by
                   validation of a sweep
  sweep=last       the sweep of run=best: its folder or name, or last
  top=1            classes for each image, the most probable first
  format=csv       csv or json
  batch_size=256   images at a time

Images of any size and mode are converted as for training: to grey or RGB,
scaled and cropped. Standard error names the run, and files that cannot be read;
then the exit status is 1. `python -m archsearch.predict` does the same.
"""


def predict(arguments: Sequence[str]) -> int:
    """Print the classes of the images that the command line `arguments` names; returns the exit status."""
    with starting():
        from archsearch.cli import exit_status

    def act() -> None:
        if {"-h", "--help"} & set(arguments):
            print(HELP, end="")
            return
        from archsearch.deploy.words import PredictOptions, parse

        options, files = parse(arguments, PredictOptions, files=True)
        with starting():
            from archsearch.deploy.predictions import predict

        predict(options, files)

    return exit_status(act, arguments, lambda: True)


if __name__ == "__main__":
    run_command(predict)

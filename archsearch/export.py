"""`python -m archsearch.export`: a trained network as files that need no archsearch."""

from collections.abc import Sequence

from archsearch.system.command import run_command, starting

HELP = """archsearch export: a trained network as files that need no archsearch

  archsearch export run=best                 ONNX, a torch.export program, source
  archsearch export run=3fa9 format=onnx int8=true out=net/

Settings:
  run=last      id or folder of a run, last, or best: the best run by
                validation of a sweep
  sweep=last    the sweep of run=best: its folder or name, or last
  format=onnx,torch,source
                onnx      NAME.onnx
                torch     NAME.pt2, a torch.export program
                source    NAME.py, a plain PyTorch module, and its weights
  out=FOLDER    default: outputs/exports/<beginning of the run's id>
  int8=false    true adds NAME.int8.onnx, calibrated on validation images,
                and prints the accuracy that it costs

Every file takes raw pixels, and is compared with PyTorch before it appears.
`pip install 'archsearch[export]'` installs what ONNX and source need.
`python -m archsearch.export` does the same.
"""


def export(arguments: Sequence[str]) -> int:
    """Export the network that the command line `arguments` names; returns the exit status."""
    with starting():
        from archsearch.cli import exit_status

    def act() -> None:
        if {"-h", "--help"} & set(arguments):
            print(HELP, end="")
            return
        from archsearch.deploy.words import ExportOptions, parse

        options, _ = parse(arguments, ExportOptions)
        with starting():
            from archsearch.deploy.exporting import export

        export(options)

    return exit_status(act, arguments, lambda: True)


if __name__ == "__main__":
    run_command(export)

"""`python -m archsearch.schema`: print a JSON Schema of the configuration, with which editors complete and check YAML.

Imports no torch, leaves no file behind.
"""

import json
from collections.abc import Sequence

from archsearch.system.command import run_command, starting


def schema(arguments: Sequence[str]) -> int:
    """Print the schema of the group that the command line `arguments` names, or of the whole configuration.

    Returns the exit status.
    """
    with starting():
        from archsearch.cli import exit_status

    def show() -> None:
        from archsearch.compose.help import help_text
        from archsearch.compose.json_schema import configuration_schema, group_schema
        from archsearch.errors import ConfigError, Problem

        if {"-h", "--help"} & set(arguments):
            print(help_text(command="schema"))
            return
        if len(arguments) > 1:
            raise ConfigError([Problem("schema", f"got {' '.join(arguments)}, must be the name of one group")])
        document = group_schema(arguments[0]) if arguments else configuration_schema()
        print(json.dumps(document, indent=2))

    return exit_status(show, arguments)


if __name__ == "__main__":
    run_command(schema)

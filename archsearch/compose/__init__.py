"""From the command line to a validated request. No torch.

`words` checks the form of the words, `overrides` parses the command line, `composition` composes the configuration with
Hydra, `request` is the result, `validate` checks all of it at once. `explain` explains what Hydra refused: `culprits`
finds the words at fault, `suggestions` what was meant, from the `known_settings`. `labels` shortens names of settings.
`json_schema` is for editors. Open `composition` first.
"""

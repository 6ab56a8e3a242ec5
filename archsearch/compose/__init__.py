"""From the command line to a validated request. No torch.

`overrides` parses the command line, `composition` composes the configuration with Hydra, `request` is the result,
`validate` checks all of it at once, `explain` explains what Hydra refused, `labels` shortens names of settings. Open
`composition` first.
"""

"""The model language: parsing, planning, building. Only `builder` imports torch.

`spec` parses a model's YAML into a `ModelSpec`, `plan` lowers it to layers with shapes, parameters, MACs and receptive
fields, `builder` builds an `nn.Sequential` from a plan, `table` prints a plan. Open `spec` first.
"""

"""The model language and what becomes of it. Only `builder` imports torch.

`spec` parses a model's YAML into a `ModelSpec`, `plan` turns that into layers with shapes, parameters, MACs and
receptive fields, `builder` turns a plan into an `nn.Sequential`, `table` prints it. Open `spec` first.
"""

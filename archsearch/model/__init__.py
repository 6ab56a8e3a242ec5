"""Models: their language, their layers by arithmetic, and the networks that are built from them.

`spec` reads the language, with the blocks of `blocks/` and `heads`, and those of `plugins`. `plan` lowers a model to a
`tree` of layers, with the methods of `lowering`; `builder` makes the network. `json_schema` describes the
language to editors. Open `plan` first.
"""

"""Data sets, held completely in memory; splits; batches; augmentation.

`info` describes each data set (sizes, classes, statistics, checksums), `files` finds, downloads and validates files,
`load` reads a data set into arrays and splits it, `batches` makes normalised batches of tensors on a device, `augment`
transforms batches at random. Open `info` first.
"""

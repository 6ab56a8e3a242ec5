"""Data sets, validated and whole in memory; splits; batches; augmentation.

`info` says what each data set is (sizes, classes, statistics, checksums), `files` finds, downloads and validates files,
`load` reads a data set into arrays and holds images out, `batches` makes normalised batches of tensors on a device,
`augment` changes batches at random. Open `info` first.
"""

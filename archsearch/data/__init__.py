"""Data sets, held completely in memory; splits; batches; augmentation.

`info` says what is known of a data set (shape, classes, sizes, statistics), `catalogue` describes each public one,
`files` finds, downloads and validates their files, `formats` parses them, `load` reads a data set into arrays and
splits it, `batches` makes normalised batches of tensors on a device, `augment` transforms batches at random. `own`
has data sets of a person's own, `pixels` turns an image file into pixels. Open `info` first.
"""

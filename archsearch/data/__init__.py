"""Data sets, validated and whole in memory; splits; batches; augmentation.

definitions   what each data set is: sizes, classes, statistics, checksums (no torch)
files         finding, downloading and validating files on disk
load          a data set as arrays, and its held-out images
batches       arrays -> normalised batches of tensors on a device
augment       random changes of a batch
"""

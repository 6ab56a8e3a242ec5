"""Data sets of a person's own: image folders, arrays, Parquet files.

`dataset` finds and describes one, `folder`, `arrays` and `parquet` list what each kind holds, `split` chooses the test
images where there are none, `decode` turns image files into pixels, `cache` keeps them. The person's files are only
read; everything that is written lies in the cache. Open `dataset` first.
"""

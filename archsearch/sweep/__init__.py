"""Multirun: what varies is expanded and judged before anything trains, then trained by a pool of processes, resumably.

grid         the command line's sweeps -> one list of overrides a variant
compose      a variant's overrides -> its configuration, as Hydra composes it, thousands of times a minute
fingerprint  what a variant's result depends on
estimate     how long it will take
plan         all variants, judged, before any of them is trained
folder       what a sweep leaves on disk, and finding it again
job          one variant, in whatever process a launcher runs it
pool, worker the processes of this machine's launcher
display      what a person sees while they work
results      the table at the end
pictures     the same, drawn
sweeper, launcher   what Hydra calls (by way of hydra_plugins/archsearch)
"""

"""Multirun: what varies is expanded and judged before anything trains, then trained by a pool of processes, resumably.

From the command line to a plan, without torch:
grid         the command line's sweeps -> one list of overrides a variant
compose      a variant's overrides -> its configuration, as Hydra composes it, thousands of times a minute
fingerprint  what a variant's result depends on
estimate     how long it will take
plan         all variants, judged, before any of them is trained
planning     from a multirun's configuration to that plan

From the plan to trained variants:
folder       what a sweep leaves on disk
register     which number and folder each variant has, new or resumed
words        the overrides that tell a job which variant of which sweep it is
machine      what this machine has for a sweep
pool, worker the processes of this machine's launcher
job          one variant, in whatever process another launcher runs it
display      what a person sees while they work

And to what is made of them:
results      the table
pictures     the same, drawn
closing      both, written, recorded and printed

sweeper, launcher   what Hydra calls (by way of hydra_plugins/archsearch)
logs, text          where a sweep says things, and columns for people
"""

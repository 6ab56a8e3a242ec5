"""A sweep of archsearch: one variant a core of this machine, which differ in their seeds; rates are added up."""

import os

from candidates.archsearch_run import main

if __name__ == "__main__":
    main(workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)

"""A sweep of archsearch: one run per core, with different seeds; their rates are added up."""

import machine

from candidates.archsearch_run import main

if __name__ == "__main__":
    main(workers=machine.cores())

"""`python -m archsearch`: see `archsearch.cli`."""

from archsearch.cli import main

if __name__ == "__main__":
    main()

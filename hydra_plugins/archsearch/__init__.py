"""What Hydra insists on finding here; the work is done in `archsearch.sweep`."""

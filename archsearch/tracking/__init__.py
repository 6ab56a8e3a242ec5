"""The only part that writes to MLflow.

store      which tracking store, whether it can be reached, and creating it safely
recorder   one run's params, metrics, tags and artifacts, kept until the store has taken them
sweeps     the runs of a sweep: finding them, ending those whose process died, the page that shows them
"""

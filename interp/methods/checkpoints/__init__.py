"""The same measure at every checkpoint of a run, and what its curve says."""

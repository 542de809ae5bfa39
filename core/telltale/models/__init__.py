"""The classifier, its trace and its training."""

"""Cost and memory up to 1.28 million references."""

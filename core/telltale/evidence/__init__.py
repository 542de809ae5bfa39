"""Evidence: what the five papers look at, each computed once for pages and detectors."""

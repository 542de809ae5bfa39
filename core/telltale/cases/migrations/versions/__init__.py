"""One file per step, each named after its place in the order."""

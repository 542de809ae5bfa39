"""Building a bundle, in stages that can be resumed."""

"""The kinds of evidence: what each needs, fits, observes, stores and shows. Importing this imports no torch."""

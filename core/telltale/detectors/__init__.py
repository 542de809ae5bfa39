"""Detectors: one file and one registry line each."""

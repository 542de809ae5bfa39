"""Saved cases: stored with the numbers that were shown, listed, compared, and carried from machine to machine."""

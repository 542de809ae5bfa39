"""Attacks: one file and one registry line each."""

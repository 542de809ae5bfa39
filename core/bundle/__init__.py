"""Bundles: a model, its data reference and everything fitted to them, in one folder."""

"""Measured comparisons: papers' tables, other libraries, growth, planted errors."""

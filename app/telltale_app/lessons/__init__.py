"""Lessons that drive the real pages: one small file each, and the few parts that they share."""

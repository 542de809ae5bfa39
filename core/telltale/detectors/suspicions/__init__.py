"""Attacks' view of the detectors: each one's score as a function that can be differentiated down to the pixels."""

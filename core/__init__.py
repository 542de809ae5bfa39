"""Telltale: see, trace and catch adversarial images."""

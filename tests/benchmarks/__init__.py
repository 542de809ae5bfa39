"""Timings against other libraries; run with ``pytest tests/benchmarks``, not part of ``make test``."""

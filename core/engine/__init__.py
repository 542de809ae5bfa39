"""The engine: torch work in worker processes, cut into small tasks."""

"""What scripts/benchmark.py measures, a subject a module."""

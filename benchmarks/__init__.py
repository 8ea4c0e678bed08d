"""Timings of GroCo, run from a checkout: `python -m benchmarks.implementations`."""

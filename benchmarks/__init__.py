"""Benchmarks: each prints its figures beside a peer's, in one run, and asserts nothing."""

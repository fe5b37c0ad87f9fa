"""Measurements on real data: ``python -m benchmarks --help`` lists them."""

"""Fitting: split, start, race, train, keep."""

"""Timings, each beside its baseline in the same process; never part of the tests."""

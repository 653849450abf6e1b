"""Runs: one model under one policy, and the comparison of many."""

"""Typed artifacts: the folders that steps hand to one another, one type a file."""

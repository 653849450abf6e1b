"""Optimizers whose cost does not grow with the catalogue."""

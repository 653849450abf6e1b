"""Batches drawn on the device: keyed permutation, negatives, and the sources that put them together."""

"""Data: readers, feedback, splits, the simulated clicks, and the artifact that later stages read."""

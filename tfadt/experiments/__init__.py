"""Experiments: plans, the run of each, the folder that keeps them, and what people read."""

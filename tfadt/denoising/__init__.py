"""Denoising policies: how much each row of a batch counts. Names are registered in `tfadt.registry`."""

"""Recommenders: GMF, NeuMF and CDAE on one base class with one train step. Names are registered in `tfadt.registry`."""

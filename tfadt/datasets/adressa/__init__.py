"""Adressa: clicks on news articles with dwell times."""

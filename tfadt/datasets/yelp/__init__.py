"""Yelp: ratings of restaurants and bars."""

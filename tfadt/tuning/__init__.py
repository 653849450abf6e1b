"""The search for settings with keras-tuner: what is searched, how a trial is judged, and what a search leaves."""

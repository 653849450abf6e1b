"""A study: one command from a log to a tuned comparison of every row, and what to deploy."""

"""The verbs of `tfadt pipeline`, one a file."""

"""The command `tfadt`: one file per verb, no logic. Nothing here imports TensorFlow until a verb needs it."""

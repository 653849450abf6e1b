"""What `make soak` does more of than `make test`."""

import os

import pytest

EXAMPLES = int(os.environ.get("TFADT_SOAK_EXAMPLES", "8"))
"""Random cases of a property of which each case reads files or traces a graph."""
EVERY = "TFADT_SOAK_EVERY" in os.environ
"""Whether every model meets every policy, objective and rule; else each of them comes up, not every combination."""
SOAK = pytest.mark.skipif(not EVERY, reason="takes long, and another test has a smaller one of its kind: make soak")

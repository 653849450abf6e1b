"""What `make soak` does more of than `make test`."""

import os

EXAMPLES = int(os.environ.get("TFADT_SOAK_EXAMPLES", "12"))
"""Random cases of a property of which each case reads files or traces a graph."""
EVERY = "TFADT_SOAK_EVERY" in os.environ
"""Whether every model meets every policy, objective and rule; else each of them comes up, not every combination."""

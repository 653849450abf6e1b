from __future__ import annotations

import os

from hypothesis import settings

# Before anything imports TensorFlow, which reads it once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# The first example pays for imports and compilation; a deadline would make its test fail by the load of the machine.
settings.register_profile("tfadt", deadline=None)
settings.load_profile("tfadt")

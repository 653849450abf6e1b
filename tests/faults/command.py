"""Runs the command `tfadt` in this process and dies where the environment says: at a moment, or inside a write.

`TFADT_TEST_KILL=after:SECONDS` kills that long after the first training step; `fsync:N` in the N-th forcing of a file to
disk, when its content is written and it has not been renamed; `write:N` at the N-th array of the checkpoints.
"""

import os
import signal
import threading
import time

import numpy as np

from tfadt.cli.main import main
from tfadt.training import state


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_call(n, function):
    calls = iter(range(1, 1_000_000))

    def wrapped(*args, **kwargs):
        if next(calls) == n:
            die()
        return function(*args, **kwargs)

    return wrapped


how, _, when = os.environ.get("TFADT_TEST_KILL", "").partition(":")
if how == "fsync":
    os.fsync = kill_at_call(int(when), os.fsync)
elif how == "write":
    np.lib.format.write_array = kill_at_call(int(when), np.lib.format.write_array)
elif how == "after":
    first_step = state.Checkpointing.on_train_batch_end

    def begin_to_count(*args, **kwargs):
        state.Checkpointing.on_train_batch_end = first_step
        threading.Thread(target=lambda: (time.sleep(float(when)), die()), daemon=True).start()
        return first_step(*args, **kwargs)

    state.Checkpointing.on_train_batch_end = begin_to_count

main()

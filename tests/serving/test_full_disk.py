"""A disk that is full in the midst of an export or a push is told in one sentence and leaves nothing behind."""

import os
import subprocess
import sys

from serving_cases import renumber

# A limit on the size of a file fails each write beyond it, as a full disk does, and needs no disk to fill.
PROGRAM = """
import os, resource, signal, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from pathlib import Path
from model_cases import checkerboard, make
from tfadt.errors import DataError
from tfadt.models.gmf import GMF
from tfadt.serving.export.exporter import export_model
from tfadt.serving.push import push
folder, version = map(Path, sys.argv[1:3])
data = checkerboard()
model = make(GMF, data)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in map(int, sys.argv[3:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    for work, *arguments in ((export_model, model, data, folder), (push, version, str(folder.parent))):
        try:
            work(*arguments)
        except DataError as error:
            print(error)
"""


def test_a_full_disk_is_told_and_leaves_nothing(exports, tmp_path):
    version = renumber(exports["gmf"], tmp_path / "blessed" / "gmf" / "1")
    folder = tmp_path / "to" / "gmf"
    limits = ["200", "5000", "20000"]  # within the warm-up records and metadata, the variables, the graph
    command = [sys.executable, "-c", PROGRAM, str(folder), str(version), *limits]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    told = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(told) == 2 * len(limits)
    assert all(line.startswith(f"{folder} cannot be written: ") for line in told)
    assert [path.name for path in folder.iterdir()] == [".tfadt-lock"]

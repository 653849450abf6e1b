"""docs/extending.md, followed to the letter: one file and one line each, in a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_policy_and_a_model_are_one_file_and_one_line_each(tmp_path):
    text = (ROOT / "docs" / "extending.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    files = re.findall(r"^`(tfadt/\S+\.py)`,", text, re.MULTILINE)
    policy, policy_line, model, model_line = blocks
    assert files == ["tfadt/denoising/random_drop.py", "tfadt/models/mf.py"]
    package = tmp_path / "tfadt"
    shutil.copytree(ROOT / "tfadt", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in zip(files, (policy, model), strict=True):
        (tmp_path / name).write_text(code)
    registry = package / "registry.py"
    lines = registry.read_text()
    for start, line in (("POLICIES: dict[str, str] = {\n", policy_line), ("MODELS: dict[str, str] = {\n", model_line)):
        assert line.count("\n") == 1
        lines = lines.replace(start, start + line)
    registry.write_text(lines)

    arguments = "run --model mf --policy standard,random_drop --set policy.random_drop.share=0.4 --set adt.epochs=2 --quiet"
    sizes = [f"--set=ingest.simulated.{name}" for name in ("users=120", "items=60", "interactions=2500")]
    result = subprocess.run(
        [sys.executable, "-m", "tfadt.cli.main", *arguments.split(), *sizes, "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    runs = {(r["model"], r["policy"]): r for r in json.loads((tmp_path / "out" / "results.json").read_text())["runs"]}
    # 40 % of the positives, which are half of the rows.
    assert abs(runs["mf", "random_drop"]["realised_drop_rate"] - 0.2) < 0.03
    assert runs["mf", "standard"]["realised_drop_rate"] == 0

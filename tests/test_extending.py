"""docs/extending.md, followed to the letter: one file and one line each, in a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_policy_and_a_model_are_one_file_and_one_line_each(tmp_path):
    text = (ROOT / "docs" / "extending.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    files = re.findall(r"^`(tfadt/\S+\.py)`,", text, re.MULTILINE)
    policy, policy_line, model, model_line = blocks
    assert files == ["tfadt/denoising/coin_drop.py", "tfadt/models/mf.py"]
    package = tmp_path / "tfadt"
    shutil.copytree(ROOT / "tfadt", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in zip(files, (policy, model), strict=True):
        (tmp_path / name).write_text(code)
    registry = package / "registry.py"
    lines = registry.read_text()
    for start, line in (('    "policy",\n    {\n', policy_line), ('    "model",\n    {\n', model_line)):
        assert line.count("\n") == 1
        lines = lines.replace(start, start + line)
    registry.write_text(lines)

    arguments = "run --model mf --policy standard,coin_drop --set policy.coin_drop.share=0.4 --set adt.epochs=2 --quiet"
    arguments += " --set adt.preset=paper"
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
    assert abs(runs["mf", "coin_drop"]["realised_drop_rate"] - 0.2) < 0.03
    assert runs["mf", "standard"]["realised_drop_rate"] == 0


def test_a_package_of_ones_own_registers_by_entry_points(tmp_path):
    text = (ROOT / "docs" / "extending.md").read_text()
    policy, _, model, _ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (entries,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    package, info = tmp_path / "my_package", tmp_path / "my_package-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").touch()
    for name, code, theirs, ours in (("policy", policy, "CoinDrop", "Mine"), ("model", model, "MF", "Ours")):
        own = code.replace(f"class {theirs}(", f"class {ours}(").replace(
            'serializable("tfadt")', 'serializable("my_package")'
        )
        (package / f"{name}.py").write_text(own)
    # As pip writes them.
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    groups = tomllib.loads(entries)["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in points.items()) for group, points in groups.items()]
    (info / "entry_points.txt").write_text("".join(lines))

    def tfadt(*arguments):
        command = [sys.executable, "-m", "tfadt.cli.main", *arguments]
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    sizes = [f"--set=ingest.simulated.{name}" for name in ("users=120", "items=60", "interactions=2500")]
    settings = ("--set=adt.preset=paper", "--set=adt.epochs=1", *sizes)
    trained = ("--model", "ours", "--policy", "mine", *settings, "--quiet", "--out", "out")
    assert "mine" in tfadt("run", *trained)
    # The saved model names both classes, which have to be found again.
    assert len(tfadt("recommend", "out", "--model", "ours-mine-0", "--user", "7", "--k", "3").splitlines()) >= 3

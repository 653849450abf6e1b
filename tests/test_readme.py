"""The README's Python runs as it stands."""

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_snippet_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    small = "simulate=True, simulated={'users': 120, 'items': 60, 'interactions': 2500}"
    code = first.replace("simulate=True", small)
    assert code != first
    assert len([line for line in first.splitlines() if line.strip()]) <= 10
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "gmf.keras").is_file()
    assert capsys.readouterr().out.strip()


def test_the_readme_opens_with_the_two_commands():
    assert re.search(r"\A# .*\n\n<!-- .* -->\n```sh\nmake run .*\nmake test .*\n```\n", README)

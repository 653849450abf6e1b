from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import tfadt

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command that finds nothing of the checkout on its path, and returns what it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, in which nothing is left of an earlier build."""
    source = tmp_path_factory.mktemp("source") / "tfadt"
    source.mkdir()
    for name in (
        "setup.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "MANIFEST.in",
        "mkdocs.yml",
    ):
        shutil.copy(ROOT / name, source)
    for name in ("tfadt", "components", "pipelines", "docs", "examples"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    return source


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", source, cwd=source.parent)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the commands of a clean environment: the wheel, and the dependencies of the running interpreter."""
    environment = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment.parent)
    folders = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=folders))
    # Paths only: .pth files inside these folders, such as that of an editable install, are not followed.
    dependencies = [entry for entry in sys.path if Path(entry).name == "site-packages"]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    scripts = Path(sysconfig.get_path("scripts", scheme="venv", vars=folders))
    python = scripts / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=environment)
    return scripts


def test_the_layers_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    program = "import tfadt, tfadt.components as c, tfadt.pipelines as p; print(tfadt.__file__, c.__file__, p.__file__)"
    files = [Path(file) for file in run(installed / "python", "-c", program, cwd=tmp_path).split()]
    site = files[0].parent.parent
    assert site.is_relative_to(installed.parent)
    assert files == [site / "tfadt" / layer / "__init__.py" for layer in ("", "components", "pipelines")]


def test_the_wheel_holds_one_top_level_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"tfadt", f"tfadt-{tfadt.__version__}.dist-info"}


def test_the_wheel_holds_every_source_and_data_file(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {f"tfadt/{path.relative_to(ROOT / 'tfadt')}" for path in (ROOT / "tfadt").rglob("*.py")}
    for layer in ("components", "pipelines"):
        sources |= {f"tfadt/{path.relative_to(ROOT)}" for path in (ROOT / layer).rglob("*.py")}
    sources |= {f"tfadt/{path.relative_to(ROOT / 'tfadt')}" for path in (ROOT / "tfadt" / "serving").glob("*.cc")}
    configs = {f"tfadt/{path.relative_to(ROOT)}" for path in (ROOT / "pipelines" / "configs").rglob("*.toml")}
    assert "tfadt/pipelines/configs/default.toml" in configs
    assert sources | configs | {"tfadt/py.typed"} <= names
    templates = {path.name for path in (ROOT / "tfadt" / "report" / "templates").iterdir()}
    assert {f"tfadt/report/templates/{name}" for name in templates} <= names
    assert "page.html.j2" in templates
    # TFDS reads what stands beside a builder; the made-up data lets a user try it before the download.
    kinds = ("README.md", "CITATIONS.bib", "TAGS.txt", "dummy_data/**/*")
    datasets = {path for kind in kinds for path in (ROOT / "tfadt" / "datasets").glob(f"*/{kind}") if path.is_file()}
    assert {f"tfadt/{path.relative_to(ROOT / 'tfadt')}" for path in datasets} <= names
    assert len(datasets) > 4 * len(kinds)


def test_the_source_distribution_has_what_a_reader_wants(source: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, source, cwd=tmp_path)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"examples/quickstart.ipynb", "docs/ingest.md", "docs/study/page.png", "mkdocs.yml", "CHANGELOG.md"} <= names
    assert {"tfadt/cli/main.py", "components/ingest.py", "pipelines/configs/paper/yelp.toml"} <= names


def test_bare_layer_names_are_not_installed(installed: Path, tmp_path: Path) -> None:
    program = "from importlib.util import find_spec; print(find_spec('components'), find_spec('pipelines'))"
    assert run(installed / "python", "-c", program, cwd=tmp_path).split() == ["None", "None"]


def test_the_command_runs_from_another_directory(installed: Path, tmp_path: Path) -> None:
    assert "Usage: tfadt" in run(installed / "tfadt", "--help", cwd=tmp_path)


@pytest.mark.parametrize(
    "program",
    [
        "import tfadt; dir(tfadt)",
        "import tfadt.config, tfadt.config.loading; tfadt.load_config()",
        "import tfadt.components, tfadt.pipelines",
        "from tfadt import from_frame, ingest, InteractionData, Interactions, Vocabulary",
        "import sys; sys.argv[1:] = ['--help']\nfrom tfadt.cli.main import main\ntry: main()\nexcept SystemExit: pass",
        "import sys; sys.argv[1:] = ['drift', 'run', '--data', 'x.csv', '--limit', 'new=1']\n"
        "from tfadt.cli.main import main\ntry: main()\nexcept SystemExit: pass",
    ],
    ids=["package", "config", "layers", "data", "help", "limit"],
)
def test_what_trains_nothing_does_not_import_tensorflow(program: str, installed: Path, tmp_path: Path) -> None:
    heavy = "import sys; print('heavy:', sorted({'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules)))"
    assert run(installed / "python", "-c", f"{program}\n{heavy}", cwd=tmp_path).endswith("heavy: []\n")


@pytest.mark.parametrize("name", sorted(tfadt.__all__))
def test_every_public_name_exists_and_is_listed(name: str) -> None:
    assert getattr(tfadt, name) is not None
    assert name in dir(tfadt)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No tfadt attribute GFM"):
        _ = tfadt.GFM

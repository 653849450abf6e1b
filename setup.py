"""Maps the folders to packages; everything else about the distribution is in pyproject.toml.

`components/` and `pipelines/` live at the root but are installed inside `tfadt`: two distributions that each install a
top-level `components` would overwrite one another.
"""

from setuptools import find_namespace_packages, find_packages, setup

MAPPED = {"tfadt.components": "components", "tfadt.pipelines": "pipelines"}

packages = find_packages(include=["tfadt", "tfadt.*"])
for package, folder in MAPPED.items():
    packages += [package, *(f"{package}.{name}" for name in find_packages(folder))]
# Folders without Python: setuptools takes every folder with files for a package.
packages.append("tfadt.pipelines.configs")
dummy_data = find_namespace_packages(include=["tfadt.datasets.*.dummy_data*"])
packages += dummy_data

setup(
    packages=packages,
    package_dir={"tfadt": "tfadt", **MAPPED},
    package_data={
        "tfadt": ["py.typed", "*.pyi"],
        "tfadt.report": ["templates/*"],
        "tfadt.serving.verification": ["*.cc"],
        "tfadt.datasets": ["*/README.md", "*/CITATIONS.bib", "*/TAGS.txt"],
        **{package: ["*"] for package in dummy_data},
        "tfadt.pipelines.configs": ["*.toml", "paper/*.toml"],
    },
)

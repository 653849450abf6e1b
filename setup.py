"""Package mapping: `components/` and `pipelines/` lie at the root and install as `tfadt.components` and `tfadt.pipelines`.

Two distributions that install a top-level `components` would overwrite each other. All other metadata is in pyproject.toml.
"""

from setuptools import find_packages, setup

MAPPED = {"tfadt.components": "components", "tfadt.pipelines": "pipelines"}

packages = find_packages(include=["tfadt", "tfadt.*"])
for name, folder in MAPPED.items():
    packages += [name, *(f"{name}.{inner}" for inner in find_packages(folder))]

setup(
    packages=packages,
    package_dir={"tfadt": "tfadt", **MAPPED},
    package_data={"tfadt": ["py.typed"], "tfadt.pipelines": ["configs/*.toml"]},
)

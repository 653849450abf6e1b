"""Pipelines: how the components are joined and run, and the TOML configurations under `configs/`.

Installed as `tfadt.pipelines`; import it by that name only.
"""

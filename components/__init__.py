"""Components: one file a stage of the pipeline, each a thin wrapper whose body only calls the `tfadt` library.

Installed as `tfadt.components`; import it by that name only.
"""

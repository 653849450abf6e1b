"""Pipelines of components and their configurations (`configs/*.toml`). Import as `tfadt.pipelines`."""

"""Candidates from which a strength is chosen are often trainings of the run as well: what one made the other takes over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tfadt.config import Config
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.strength import has_automatic_strength, strengths
from tfadt.training.plan import Plan


def hand_over(folder: RunFolder, plan: Plan, todo: Sequence[Plan], config: Config) -> None:
    """Leaves what a finished training has kept to the trainings that would make the same steps again.

    A training that finds the checkpoint of its last step has none left, and ends as if it had made them, bit for bit: so a
    run that is killed meanwhile, or makes both at the same time, has the same figures. Closed forms keep no checkpoints.

    Args:
        folder: The run's.
        plan: The training that is finished; its checkpoints may be moved away.
        todo: The trainings of the run.
        config: Its settings.
    """
    if config.adt.start_from is not None:  # candidates start from the weights of the training that asked for them
        return
    for source, target in _same(plan, todo, config):
        kept, heir = folder.checkpoints(source), folder.checkpoints(target)
        record = folder.training(target.partition("/")[0])
        # One that is finished, or going on, has no need of them.
        if record.is_file() or not kept.is_dir() or heir.exists():
            continue
        with suppress(OSError):  # it has just begun, or the disk is full: then it makes its own
            heir.parent.mkdir(parents=True, exist_ok=True)
            kept.rename(heir)
            shutil.copytree(folder.logs(source), folder.logs(target), dirs_exist_ok=True)
        if record.is_file():  # it has ended meanwhile
            shutil.rmtree(heir, ignore_errors=True)


def _same(plan: Plan, todo: Sequence[Plan], config: Config) -> Iterator[tuple[str, str]]:
    """Gives the folders, by name, in which the same training keeps its checkpoints: of this plan and of another."""
    for other in todo:
        if other.policy == plan.policy or (other.model, other.seed, other.stages) != (plan.model, plan.seed, plan.stages):
            continue
        if has_automatic_strength(plan, config) and other.policy in _candidates(plan, config):
            yield f"{plan.name}/{other.policy}", other.name
        if has_automatic_strength(other, config) and plan.policy in _candidates(other, config):
            yield plan.name, f"{other.name}/{plan.policy}"


def _candidates(plan: Plan, config: Config) -> set[str]:
    return {each.label for each in strengths(plan.model, config)}

"""How new data differ from an earlier run, and what that says about the push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfadt.components.artifacts.base import Artifact

if TYPE_CHECKING:
    from tfadt.experiments.drift import Drift


class DriftReport(Artifact):
    """The drift of new data from what an earlier run was trained on, and the decision about the push.

    Layout: `drift.json` (`push`: whether a model of these data is to be pushed; `reason`; `drift`: the figures of
    `tfadt.experiments.drift.Drift`, or null where there is no earlier run).
    """

    files = ("drift.json",)

    def write(self, drift: Drift | None, push: bool, reason: str) -> None:
        """Writes the figures and the decision."""
        self.write_json("drift.json", {"push": push, "reason": reason, "drift": None if drift is None else drift.as_dict()})

    def decision(self) -> tuple[bool, str]:
        """Returns whether to push, and why."""
        content = self._content()
        return content["push"], content["reason"]

    def summary(self) -> dict[str, Any]:
        """Returns the decision and the figures."""
        content = self._content()
        return {"push": content["push"], "reason": content["reason"], **(content["drift"] or {})}

    def _content(self) -> dict[str, Any]:
        return self.read_json("drift.json", ("push", "reason", "drift"))

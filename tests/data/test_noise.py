"""Noise of known truth: which clicks are flipped, where to, and what is refused."""

from __future__ import annotations

import pandas as pd
import pytest

from tfadt.cli.main import app
from tfadt.config.ingest import ExtraFeedback, IngestConfig, Simulated
from tfadt.data.ingest import from_frame, ingest
from tfadt.data.interactions import InteractionData
from tfadt.data.noise import inject
from tfadt.errors import ConfigError


@pytest.fixture(scope="module")
def data() -> InteractionData:
    simulated = Simulated(users=200, items=80, interactions=6000)
    return ingest(IngestConfig(simulated=simulated, extra_feedback=ExtraFeedback(share=0)))


def liked(data: InteractionData) -> set[tuple[int, str]]:
    parts = [p if p.false_positive is None else p.take(~p.false_positive) for p in (data.train, data.valid, data.test)]
    return {pair for p in parts for pair in zip(data.users.decode(p.user), data.items.decode(p.item), strict=True)}


@pytest.mark.parametrize("by", ["uniform", "popularity"])
def test_a_share_of_the_liked_clicks_goes_to_items_that_nobody_clicked_there(data: InteractionData, by: str) -> None:
    log = inject(data, 0.2, by, seed=3)  # type: ignore[arg-type]
    pairs = list(zip(log["user_id"], log["item_id"], strict=True))
    assert len(pairs) == len(set(pairs)) == len(liked(data))
    flipped = {pair for pair, false in zip(pairs, log["false_positive"], strict=True) if false}
    # A binomial of some 2,600: four standard deviations are 3 %.
    assert len(flipped) == pytest.approx(0.2 * len(pairs), rel=0.15)
    assert set(pairs) - flipped < liked(data)
    clicks = liked(data) | {
        pair
        for p in (data.train, data.valid, data.test_disliked)
        if p is not None
        for pair in zip(data.users.decode(p.user), data.items.decode(p.item), strict=True)
    }
    assert not flipped & clicks
    pd.testing.assert_frame_equal(log, inject(data, 0.2, by, seed=3))  # type: ignore[arg-type]


def test_by_popularity_the_false_clicks_are_on_popular_items(data: InteractionData) -> None:
    counts = pd.Series([item for _, item in liked(data)]).value_counts()
    means = {}
    for by in ("uniform", "popularity"):
        log = inject(data, 0.3, by)  # type: ignore[arg-type]
        means[by] = counts.reindex(log.loc[log["false_positive"] == 1, "item_id"], fill_value=0).mean()
    assert means["popularity"] > 1.2 * means["uniform"]


def test_a_user_with_every_item_keeps_its_clicks() -> None:
    frame = pd.DataFrame({"user_id": [n // 4 for n in range(40)], "item_id": [n % 4 for n in range(40)]})
    assert not inject(from_frame(frame), 0.5)["false_positive"].any()


def test_the_log_is_read_again_with_its_truth(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    small = ["--set", "ingest.simulated={users=60,items=40,interactions=900}"]
    app(["noise", "inject", "--simulate", *small, "--out", str(tmp_path / "noisy.csv")], standalone_mode=False)
    assert "of them flipped" in capsys.readouterr().out
    again = ingest(IngestConfig(data=(tmp_path / "noisy.csv",)))
    assert again.manifest["feedback"]["rule"] == "false_positive"
    assert again.manifest["false_positive_share"]["log"] == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize(
    ("share", "by", "seed", "message"),
    [
        (0.0, "uniform", 0, "between 0 and 1. Received: 0.0"),
        (0.1, "at random", 0, "Received: 'at ran"),
        (0.1, "uniform", -1, "at least 0. Received: -1"),
    ],
)
def test_what_cannot_be_is_refused(data: InteractionData, share: float, by: str, seed: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        inject(data, share, by, seed)  # type: ignore[arg-type]

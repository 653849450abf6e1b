"""What a run shows while it goes on."""

import io
import time

import pytest
import rich.console

from tfadt.cli import console
from tfadt.training import progress
from tfadt.training.progress import PrintedProgress

FRAME = 0.3  # seconds: bars are drawn ten times a second


@pytest.fixture
def screen(monkeypatch):
    shown = io.StringIO()
    terminal = rich.console.Console(file=shown, force_terminal=True, width=120, legacy_windows=False, color_system=None)
    monkeypatch.setattr(console, "_console", lambda: terminal)
    return shown


def drawn(screen):
    """Returns what has been drawn since the last call."""
    time.sleep(FRAME)
    text = screen.getvalue()
    screen.seek(0)
    screen.truncate()
    return text


def test_a_bar_tells_of_steps_and_of_rankings_and_there_is_one_at_a_time(screen):
    with console.progress(quiet=False) as listener:
        listener.begin("gmf-t_ce-0 warmup", 10)
        listener.advance(5, {"loss": 0.25})
        text = drawn(screen)
        assert "gmf-t_ce-0 warmup" in text
        assert "5/10" in text
        assert "loss 0.2500" in text
        listener.ranked(1_000, 57_000)
        assert "1,000 of 57,000 users ranked" in drawn(screen)
        listener.begin("gmf-t_ce-0 adt", 20)
        drawn(screen)
        text = drawn(screen)
        assert "gmf-t_ce-0 adt" in text
        assert "warmup" not in text
        listener.end("gmf-t_ce-0", "recall@5 0.1")
        assert "gmf-t_ce-0: recall@5 0.1" in drawn(screen)


def test_trainings_that_go_on_at_once_have_a_bar_each(screen):
    with console.progress(quiet=False) as listener:
        first, second = listener.beside(), listener.beside()
        first.begin("gmf-t_ce-1", 10)
        second.begin("gmf-t_ce-10 adt", 20)
        first.advance(4, {"loss": 0.5})
        second.advance(7, {})
        text = drawn(screen)
        assert "4/10" in text
        assert "7/20" in text
        listener.end("gmf-t_ce-1", "recall@5 0.1")
        drawn(screen)
        text = drawn(screen)
        assert "gmf-t_ce-10 adt" in text
        assert "4/10" not in text


def test_trainings_that_were_finished_before_need_no_bar(screen):
    with console.progress(quiet=False) as listener:
        listener.end("gmf-standard-0", "recall@5 0.1")
        listener.begin("gmf-t_ce-0", 10)
        listener.end("gmf-t_ce-0", "recall@5 0.2")
    text = drawn(screen)
    assert "gmf-standard-0: recall@5 0.1" in text
    assert "gmf-t_ce-0: recall@5 0.2" in text


def test_without_a_terminal_a_long_ranking_is_told_once_a_minute(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    listener = PrintedProgress()
    listener.begin("gmf-t_ce-0", 10)
    for users in range(1, 8):
        now[0] += 20
        listener.ranked(users * 1_000, 57_000)
    assert capsys.readouterr().out.splitlines() == [
        "gmf-t_ce-0: training, 10 steps",
        "  3,000 of 57,000 users ranked",
        "  6,000 of 57,000 users ranked",
    ]

"""A running study in a notebook: the same figures as in a terminal, as text, table and picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from hybridlab.ablation.events import Event
from hybridlab.ablation.watching import Watcher
from hybridlab.viz import live_study
from hybridlab.viz.live_study import LiveStudy, as_html, progress_figure, progress_words
from hybridlab.viz.notebook import has_title
from tests.ablation.synthetic import result, write_folder

HOSTILE = "<script>alert(1)</script> $x_1$"


@pytest.fixture
def folder(tmp_path):
    return write_folder(
        tmp_path / "s",
        {"plain": lambda seed: result(0.8, seed, "a"), HOSTILE: lambda seed: result(2, seed, "b"),
         "none": lambda seed: result(1, seed, "c")},
        range(3), skip=[(HOSTILE, 2), ("none", 0), ("none", 1)],
        failed={("none", 2): "no <b>memory</b>"},
    )


@pytest.fixture
def screen(monkeypatch):
    """What is displayed and updated, in order."""
    shown = []

    class Handle:
        def update(self, part):
            shown.append(("update", part))

    def display(part, display_id):
        shown.append(("display", part))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    return shown


def test_the_table_says_what_the_terminal_says_and_names_stay_text(folder):
    seen = Watcher(folder).look()
    page = as_html(seen, folder)
    assert "<script" not in page and "<b>" not in page and "&lt;script&gt;" in page
    for each in seen.variants:
        assert each.score in page and each.difference in page
    assert "2 of 3" in page and "1 failed" in page and "PROVISIONAL" in page


def test_the_figure_shows_runs_and_open_marks(folder):
    seen = Watcher(folder).look()
    figure = progress_figure(seen)
    runs, differences = figure.axes
    widths = [bar.get_width() for bar in runs.patches]
    assert widths == [3, 3, 0, 3, 2, 0, 3, 0, 1]  # all, done and failed of each variant
    assert "PROVISIONAL" in figure._suptitle.get_text() and has_title(figure)
    (mark,) = [line for line in differences.lines if line.get_marker() == "o"]
    value = seen.analysis.row(HOSTILE).comparison.value
    assert mark.get_xdata()[0] == pytest.approx(100 * value)
    assert mark.get_markerfacecolor() == "white"
    figure.canvas.draw()  # names with $ are no formulas
    assert not plt.get_fignums()


def test_words_for_who_cannot_see_it(folder):
    words = progress_words(Watcher(folder).look())
    assert "5 of 9 runs done, 1 failed" in words and "Provisional" in words
    assert "plain: 3 of 3 runs, difference reference" in words


def test_events_redraw_now_and_then_and_at_the_end(folder, screen):
    live = LiveStudy(folder, seconds=1000)
    live(Event("submitted", 5, 9))
    assert screen == []
    live(Event("done", 5, 9))
    live(Event("done", 6, 9))
    assert [kind for kind, _ in screen] == ["display"] * 2
    live(Event("done", 9, 9))
    assert [kind for kind, _ in screen] == ["display"] * 2 + ["update"] * 2


def test_it_follows_a_folder_until_the_study_ends(folder, screen, monkeypatch):
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(live_study.time, "sleep", wait)
    assert LiveStudy(folder, seconds=3).follow().done == 5
    assert waits == [3, 3] and len(screen) == 4
    assert LiveStudy(folder).follow(limit=0).done == 5
    ended = write_folder(folder.parent / "ended", {"a": lambda seed: result(1, seed)}, [0])
    assert LiveStudy(ended).follow().complete and len(waits) == 2
    html = screen[-2][1].data
    assert "all runs are done" in html and "PROVISIONAL" not in html


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_that_is_none_is_refused(folder, seconds):
    with pytest.raises(ValueError, match="above 0"):
        LiveStudy(folder, seconds)

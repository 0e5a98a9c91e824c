import ipywidgets as widgets
import pytest
from matplotlib.figure import Figure

from hybridlab.viz.explore import VIEW, explore, explore_text
from hybridlab.viz.notebook import show


def picture(number: int, word: str = "a") -> object:
    figure = Figure(figsize=(1, 1))
    figure.suptitle(f"{number}{word}")
    return show(figure, alt=f"{number} {word}")


def test_a_reader_without_a_kernel_finds_the_first_picture(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda *a, **k: shown.append((a, k)), raising=True
    )
    calls = []

    def draw(number: int, word: str) -> object:
        calls.append((number, word))
        return picture(number, word)

    explore(draw, number=range(3, 9), word=["b", "c"])
    (data,), options = shown[-1]
    assert calls[0] == (3, "b") and options["raw"]
    assert VIEW in data and "number, word" in data["text/plain"]
    assert data["image/png"] and options["metadata"]["image/png"]["alt"] == "3 b"


def live_page(monkeypatch, explored, draw, **values):
    """What is live after a call: its controls by name and the HTML under them."""
    boxes, make = [], widgets.VBox
    monkeypatch.setattr("ipywidgets.VBox", lambda all_: boxes.append(all_) or make(all_))
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: None)
    explored(draw, **values)
    *controls, page = boxes[-1]
    return dict(zip(values, controls, strict=True)), page


def test_moving_a_slider_draws_anew_with_its_alternative_text(monkeypatch):
    controls, page = live_page(monkeypatch, explore, picture, number=range(3, 9), word=["b", "c"])
    assert isinstance(page, widgets.HTML) and 'alt="3 b"' in page.value
    before = page.value
    controls["number"].value = 5
    controls["word"].value = "c"
    assert 'alt="5 c"' in page.value and "data:image/png;base64," in page.value
    assert page.value.split("base64,")[1] != before.split("base64,")[1]


def test_what_is_refused_stands_in_the_pictures_place(monkeypatch):
    def draw(text):
        if "<" in text:
            raise ValueError(f"{text} is no phrase")
        return picture(1, text)

    controls, page = live_page(monkeypatch, explore_text, draw, text='a "cow"')
    assert 'alt="1 a &quot;cow&quot;"' in page.value
    controls["text"].value = "<b>"
    assert page.value == "<p>&lt;b&gt; is no phrase</p>"
    controls["text"].value = "an owl"
    assert 'alt="1 an owl"' in page.value


@pytest.mark.parametrize("values", [{}, {"number": []}, {"number": range(0)}])
def test_sliders_need_values(values):
    with pytest.raises(ValueError, match="at least one value"):
        explore(picture, **values)


def test_a_slider_may_start_in_the_middle(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    drawn = []

    def draw(**now):
        drawn.append(now)
        return picture(1)

    explore(draw, {"alpha": 0.5}, alpha=[0.0, 0.5, 1.0], number=range(3, 5))
    assert drawn[0] == {"alpha": 0.5, "number": 3}
    with pytest.raises(ValueError, match=r"sliders alpha cannot start at \[0.7\]"):
        explore(draw, {"alpha": 0.7}, alpha=[0.0, 0.5], number=range(3, 5))
    with pytest.raises(ValueError, match="sliders beta cannot start"):
        explore(draw, {"beta": 1}, alpha=[0.0])

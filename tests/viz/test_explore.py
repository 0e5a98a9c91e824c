import pytest
from matplotlib.figure import Figure

from hybridlab.viz.explore import VIEW, explore
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


@pytest.mark.parametrize("values", [{}, {"number": []}, {"number": range(0)}])
def test_sliders_need_values(values):
    with pytest.raises(ValueError, match="at least one value"):
        explore(picture, **values)

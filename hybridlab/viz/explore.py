"""Sliders over a plain function, which leave a figure behind for readers without a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"


def explore(draw: Callable[..., Any], **values: range | Sequence[Any]) -> None:
    """Sliders for the arguments of `draw`; each starts at the first of its values.

    With a kernel the sliders are live. Without one (on a web page, on paper) the picture that
    `draw` gives for the first values stands in their place, so the page reads all the same.

    Args:
        draw: keyword arguments -> a picture, as `notebook.show` returns it.
        values: for each argument what the slider runs through.

    Raises:
        ValueError: no slider, or one without values.
    """
    import ipywidgets as widgets
    from IPython.display import display

    if not values or not all(len(each) for each in values.values()):
        raise ValueError(f"values is {values}; give each argument of draw at least one value")
    sliders = {name: _slider(name, each) for name, each in values.items()}
    start = draw(**{name: each[0] for name, each in values.items()})
    picture, described = start._repr_mimebundle_()
    live = widgets.interactive_output(lambda **now: display(draw(**now)), sliders)
    box = widgets.VBox([*sliders.values(), live])
    names = ", ".join(values)
    display(
        {**picture, VIEW: box._repr_mimebundle_()[VIEW],
         "text/plain": f"sliders for {names}: run this cell to use them"},
        metadata=described,
        raw=True,
    )


def _slider(name: str, values: range | Sequence[Any]) -> Any:
    import ipywidgets as widgets

    look = {"description": name, "continuous_update": False}
    if isinstance(values, range):
        return widgets.IntSlider(values[0], values[0], values[-1], values.step, **look)
    return widgets.SelectionSlider(options=list(values), value=values[0], **look)

"""Sliders and text boxes over a plain function; without a kernel a figure stands in their place."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"


def explore(
    draw: Callable[..., Any], at_first: Mapping[str, Any] | None = None, /,
    **values: range | Sequence[Any],
) -> None:
    """Sliders for the arguments of `draw`.

    With a kernel the sliders are live. Without one (on a web page, on paper) the picture that
    `draw` gives for the first values stands in their place, so the page reads all the same.

    Args:
        draw: keyword arguments -> a picture, as `notebook.show` returns it.
        at_first: where sliders start, if not at the first of their values.
        values: for each argument what the slider runs through.

    Raises:
        ValueError: no slider, one without values, or a start that is not among them.
    """
    if not values or not all(len(each) for each in values.values()):
        raise ValueError(f"values is {values}; give each argument of draw at least one value")
    start = {**{name: each[0] for name, each in values.items()}, **(at_first or {})}
    if strange := [name for name, value in start.items() if value not in values.get(name, ())]:
        raise ValueError(
            f"sliders {', '.join(strange)} cannot start at {[start[name] for name in strange]}; "
            "give one of their values"
        )
    sliders = {name: _slider(name, each, start[name]) for name, each in values.items()}
    told = f"sliders for {', '.join(values)}: run this cell to use them"
    _display(draw, start, sliders, told, draw)


def explore_text(draw: Callable[..., Any], **texts: str) -> None:
    """Text boxes for the arguments of `draw`; each begins with its text, Enter draws anew.

    With a kernel the boxes are live, and what `draw` refuses is told under them. Without one the
    picture for the first texts stands in their place.

    Args:
        draw: keyword arguments, each a text -> a picture, as `notebook.show` returns it. Once
            live, a ValueError of it is shown as a message.
        texts: for each argument the text that its box begins with.

    Raises:
        ValueError: no box, or an empty first text.
    """
    import ipywidgets as widgets

    if not texts or not all(text.strip() for text in texts.values()):
        raise ValueError(f"texts is {texts}; give each argument of draw a first text")
    boxes = {
        name: widgets.Text(text, description=name, continuous_update=False,
                           layout=widgets.Layout(width="95%"))
        for name, text in texts.items()
    }
    told = f"text boxes for {', '.join(texts)}: run this cell to use them"
    _display(draw, texts, boxes, told, told_not_raised(draw))


def told_not_raised(draw: Callable[..., Any]) -> Callable[..., Any]:
    """`draw`, but what it refuses becomes a message in the place of the picture: for own words."""

    def attempt(**now: str) -> Any:
        from IPython.display import Pretty

        try:
            return draw(**now)
        except ValueError as error:
            return Pretty(str(error))

    return attempt


def _display(
    draw: Callable[..., Any], start: Mapping[str, Any], controls: dict[str, Any], told: str,
    redraw: Callable[..., Any],
) -> None:
    """Live controls over a picture, which is also there without a kernel.

    The live picture is an HTML widget: it has an alternative text, and an Output widget, for which
    a program that runs notebooks plays the browser's part, now and then leaves such a program
    waiting for ever (nbclient, issue 312).
    """
    import ipywidgets as widgets
    from IPython.display import display

    first = draw(**start)
    picture, described = first._repr_mimebundle_()
    live = widgets.HTML(as_html(first))

    def changed(_: Any) -> None:
        live.value = as_html(redraw(**{name: each.value for name, each in controls.items()}))

    for control in controls.values():
        control.observe(changed, names="value")
    display(
        {**picture, VIEW: widgets.VBox([*controls.values(), live])._repr_mimebundle_()[VIEW],
         "text/plain": told},
        metadata=described,
        raw=True,
    )


def as_html(shown: Any) -> str:
    """A picture of `notebook.show`, or a message, as HTML: the picture keeps its alternative text.

    Args:
        shown: IPython's Image of a PNG with `alt`, or Pretty with a text.
    """
    if not isinstance(shown.data, bytes):
        return f"<p>{html.escape(str(shown.data))}</p>"
    source = base64.b64encode(shown.data).decode("ascii")
    alt = html.escape(shown.alt or "", quote=True)
    return f'<img style="max-width: 100%" alt="{alt}" src="data:image/png;base64,{source}">'


def _slider(name: str, values: range | Sequence[Any], start: Any) -> Any:
    import ipywidgets as widgets

    look = {"description": name, "continuous_update": False}
    if isinstance(values, range):
        return widgets.IntSlider(start, values[0], values[-1], values.step, **look)
    return widgets.SelectionSlider(options=list(values), value=start, **look)

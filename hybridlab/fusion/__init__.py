"""Ways to join two views of an image, by name.

Every fusion takes two `View`s and gives a `Fused`; it is built for the widths of its views.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

# name -> module:class; a new fusion is one file here and one row below
_KNOWN = {
    "concat": "concat:ConcatFusion",
    "gate": "gate:GateFusion",
    "elementwise": "elementwise:ElementwiseFusion",
    "bilinear": "bilinear:BilinearFusion",
    "factorised": "bilinear:FactorisedBilinearFusion",
    "compact": "compact:CompactBilinearFusion",
    "cross_attention": "cross_attention:CrossAttentionFusion",
    "co_attention": "co_attention:CoAttentionFusion",
    "late": "late:LateFusion",
    "class_attention": "class_attention:ClassAttentionFusion",
    "label_query": "label_query:LabelQueryFusion",
}
FUSIONS = tuple(_KNOWN)
# they read tokens
ATTENTIVE = ("cross_attention", "co_attention", "class_attention", "label_query")
DECIDING = ("late", "class_attention")  # they give logits, and need no head


def build_fusion(
    name: str, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, *,
    a_tokens: int | None = None, b_tokens: int | None = None, n_labels: int | None = None,
    texts: Tensor | None = None, **options: Any,
) -> nn.Module:
    """A fusion by name.

    Args:
        name: one of `FUSIONS`.
        a_dim, b_dim: widths of the two views.
        dim: D of the fused vector.
        dropout: on the fused vector, in [0, 1).
        a_tokens, b_tokens: widths of the views' tokens, for those that read them (`ATTENTIVE`);
            those of the pooled vectors where None.
        n_labels: L, for those that make something for each label ("late",
            "class_attention", "label_query").
        texts: (L, E) of the labels, for label queries that are made of them.
        options: of that fusion alone; see its class.

    Raises:
        ValueError: unknown name; the message lists the known ones. Or sizes that make no sense.
        TypeError: a size that is no whole number, an option that this fusion does not have, or no
            n_labels where it needs them.
    """
    if name not in _KNOWN:
        raise ValueError(f"unknown fusion {name!r}; known ones: {', '.join(_KNOWN)}")
    for what, size in (("a_dim", a_dim), ("b_dim", b_dim), ("dim", dim), ("a_tokens", a_tokens),
                       ("b_tokens", b_tokens), ("n_labels", n_labels)):
        optional = what in ("a_tokens", "b_tokens", "n_labels")
        if optional and size is None:
            continue
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(f"{what} is {size!r}; give a whole number of 1 or more")
        if size < 1:
            raise ValueError(f"{what} is {size}; give 1 or more")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; give a probability from 0 to below 1")
    if texts is not None and n_labels is not None and len(texts) != n_labels:
        raise ValueError(
            f"texts has {len(texts)} rows for n_labels {n_labels}; give one text for each label"
        )
    module, _, kind = _KNOWN[name].partition(":")
    build = getattr(import_module(f"hybridlab.fusion.{module}"), kind)
    takes = dict(inspect.signature(build).parameters)
    given = {"a_dim": a_dim, "b_dim": b_dim, "dim": dim, "dropout": dropout,
             "a_tokens": a_tokens, "b_tokens": b_tokens, "n_labels": n_labels, "texts": texts}
    own = sorted(set(takes) - set(given))
    if strange := sorted(set(options) - set(own)):
        raise TypeError(
            f"options {strange} are not of fusion {name!r}, which has {', '.join(own) or 'none'}"
        )
    if "n_labels" in takes and n_labels is None:
        raise TypeError(f"fusion {name!r} makes something for each label; give n_labels=")
    return build(**{each: value for each, value in given.items() if each in takes}, **options)

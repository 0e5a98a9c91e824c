"""Label queries: every label asks both views for itself (Query2Label, ML-Decoder).

Liu et al. 2021, arXiv 2107.10834; Ridnik et al. 2021, arXiv 2111.12933. The strong modern
reference: attention as in `CrossAttentionFusion`, but it is labels that ask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.fusion.cross_attention import WITHIN, CrossBlock
from hybridlab.fusion.view import Fused, View, check_pair, check_tokens, masked_mean

QUERIES = ("learnt", "texts")


class LabelQueryFusion(nn.Module):
    """A query for each label reads the tokens of both views in one transformer block.

    Queries are learnt, or made of label texts; texts let it ask for labels that were never trained.
    Labels do not read each other, as in ML-Decoder, unless `together`.

    Args:
        n_labels: L.
        queries: "learnt", freely for each label; "texts", made of their texts by one layer.
        texts: (L, E) of the labels, for queries of texts.
        together: labels first attend to each other, as in Query2Label.
        apart: a softmax over the tokens of each view, so that a label hears both in equal parts;
            False for one over all, so that it may choose a view, as the papers would have it.
        width: of the queries and of what they read; D where None. L queries of an image cost L
            times what one vector does, so a narrower block is much cheaper.
        a_tokens, b_tokens: widths of the tokens; those of the pooled vectors where None.
        heads: of each attention.
        a_dim, b_dim, dim, dropout: as in `CrossAttentionFusion`; the width is a multiple of heads.

    Shape:
        views with tokens (B, N, a_tokens), (B, M, b_tokens) -> vector (B, D), the masked mean;
        per_label (B, L, D); attention "labels to a" (B, H, L, 1 + N) and "labels to b"
        (B, H, L, 1 + M), the pooled vector first; a row of both together adds up to 1
    """

    texts: Tensor | None

    def __init__(
        self, a_dim: int, b_dim: int, dim: int, dropout: float = 0.5, *, n_labels: int,
        a_tokens: int | None = None, b_tokens: int | None = None, queries: str = "learnt",
        texts: Tensor | None = None, together: bool = False, heads: int = 4,
        width: int | None = None, apart: bool = False,
    ):
        super().__init__()
        if width is not None and width < 1:
            raise ValueError(f"width is {width}; give 1 or more, or None for that of the output")
        output, dim = dim, width or dim
        self.a_dim, self.b_dim, self.apart = a_dim, b_dim, apart
        self.a_tokens, self.b_tokens = a_tokens or a_dim, b_tokens or b_dim
        self.read_a, self.read_b = nn.Linear(self.a_tokens, dim), nn.Linear(self.b_tokens, dim)
        self.project_a, self.project_b = nn.Linear(a_dim, dim), nn.Linear(b_dim, dim)
        self.kind = nn.Parameter(torch.randn(2, 2, dim) * 0.02)  # view x (whole, part)
        if queries not in QUERIES or (queries == "texts" and texts is None):
            raise ValueError(
                f"queries is {queries!r} and texts {'not ' if texts is None else ''}given; choose "
                f"one of {', '.join(QUERIES)}, and pass texts (L, E) for the second"
            )
        if queries == "texts" and texts is not None and (
            texts.dim() != 2 or len(texts) != n_labels
        ):
            raise ValueError(
                f"texts has shape {tuple(texts.shape)}, expected ({n_labels}, E): one for each "
                "label"
            )
        self.register_buffer("texts", texts if queries == "texts" else None)
        self.queries: nn.Module | nn.Parameter
        if self.texts is None:
            self.queries = nn.Parameter(torch.randn(n_labels, dim) * 0.02)
        else:
            self.queries = nn.Linear(self.texts.shape[1], dim)
        within = min(WITHIN, dropout)
        self.first = CrossBlock(dim, heads, within) if together else None
        self.read = CrossBlock(dim, heads, within)
        self.finish = nn.Sequential(
            nn.LayerNorm(dim), nn.Dropout(dropout),
            *([] if width is None else [nn.Linear(dim, output)]),
        )

    def forward(self, a: View, b: View, texts: Tensor | None = None) -> Fused:
        """Fuse two views.

        Args:
            texts: (U, E) of other labels to ask for; those it was built with where None.

        Raises:
            ValueError: views that do not fit, or texts for a fusion that was built without.
        """
        check_pair(a, b, self.a_dim, self.b_dim)
        check_tokens(a, b, self.a_tokens, self.b_tokens)
        parts = [_marked(*view.projected(whole, part), kind) for view, whole, part, kind in (
            (a, self.project_a, self.read_a, self.kind[0]),
            (b, self.project_b, self.read_b, self.kind[1]))]
        tokens, mask = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
        asked = self._queries(texts).expand(a.pooled.shape[0], -1, -1)  # (B, L, D)
        if self.first is not None:
            everyone = torch.ones(asked.shape[:2], dtype=torch.bool, device=asked.device)
            asked, _ = self.first(asked, asked, everyone)
        split = parts[0][0].shape[1]
        found, weights = self.read(asked, tokens, mask, split if self.apart else None)
        return Fused(
            self.finish(masked_mean(tokens, mask)), per_label=self.finish(found),
            attention={"labels to a": weights[..., :split], "labels to b": weights[..., split:]},
        )

    def _queries(self, texts: Tensor | None) -> Tensor:
        if isinstance(self.queries, nn.Parameter):
            if texts is not None:
                raise ValueError(
                    "texts were given, but this fusion's queries are learnt label by label; build "
                    "it with queries='texts' to ask for other labels"
                )
            return self.queries
        assert self.texts is not None  # see __init__
        asked = self.texts if texts is None else texts
        if asked.dim() != 2 or asked.shape[1] != self.texts.shape[1]:
            raise ValueError(
                f"texts has shape {tuple(asked.shape)}, expected (U, {self.texts.shape[1]}): of "
                "the text tower that it was built with"
            )
        return self.queries(asked)


def _marked(tokens: Tensor, mask: Tensor, kind: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens marked as what they are: the first is the whole, the others are parts."""
    return tokens + kind[[0, *[1] * (tokens.shape[1] - 1)]], mask

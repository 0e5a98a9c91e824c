"""The hybrid: CNN-RNN and CLIP look at the same image, are fused, and score every label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from hybridlab.configs import TOKENS, VIEWS, WITHOUT
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.decoded import Decoded
from hybridlab.encoders.clip import ClipEncoder, ImageFeatures
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.fusion import ATTENTIVE, build_fusion
from hybridlab.fusion.view import View
from hybridlab.fusion.views import Standardise, cnn_rnn_view
from hybridlab.heads import ContrastiveHead, OwnOpinion, label_head

if TYPE_CHECKING:
    from hybridlab.encoders.gemma import GemmaFeatures


@dataclass(frozen=True)
class HybridOutput:
    """What one forward gives.

    Attributes:
        logits: (B, L) of the label head; sigmoid gives probabilities.
        contrastive_logits: (B, L), scaled similarities with the label texts.
        fused: (B, D).
        per_label: (B, L, D), where the fusion makes a vector for each label.
        h_rnn: (B, D_rnn), what the decoder brings to the fusion, decoded free-running.
        h_clip: (B, D_clip), CLIP's image embedding, unit length; or the mean of a tower's tokens.
        attention: name -> weights, of a fusion that attends; see its class.
        decoded: the whole decoding, where the images were seen (None from cached views).
    """

    logits: Tensor
    contrastive_logits: Tensor
    fused: Tensor
    h_rnn: Tensor
    h_clip: Tensor
    per_label: Tensor | None = None
    attention: Mapping[str, Tensor] = field(default_factory=dict)
    decoded: Decoded | None = None


class HybridClassifier(nn.Module):
    """CNN-RNN view and CLIP view -> fusion -> label head and contrastive head (seed 000).

    Args:
        cnn: frozen encoder of the local view.
        decoder: a trained `LabelDecoder` over the CNN's tokens.
        clip: the model of the global view: a CLIP, a SigLIP, or a `GemmaTower`, which has the same
            interface; only its vision tower is used here.
        text_emb: (L, D_text) unit-length label texts; for a CLIP D_text is D_clip.
        dim: D of the fused vector.
        fusion: a name of `build_fusion`.
        dropout: of the fusion.
        view: what the CNN-RNN brings to the fusion: "evidence", the decoder's opinion of each label
            as log-odds (D_rnn = L); "state", its last valid hidden state, as seed 000 has it
            (D_rnn = the decoder's D); "map", the mean of the CNN's map (D_rnn = its channels), to
            see what the decoder adds to it; "none", zeros, to see what CLIP does alone. Hidden
            states cannot be cross-fitted, opinions can.
        tokens: what a fusion that attends reads of the CNN-RNN: its "steps" (opinions or states,
            one after each label), or the "map" of the CNN that it looks at.
        without: "cnn_rnn" or "clip" leaves that view out: zeros, and no token that counts. Every
            weight stays where it is, so `state_dict` loads with and without.
        text_bias: a bias on the similarities with the texts; see `heads.ContrastiveHead`.
        options: of the fusion alone; see its class.
        own_opinion: the decoder's opinion of a label is also added to the label's logit, past the
            fusion; see `heads.OwnOpinion`. For the view "evidence".

    Raises:
        ValueError: decoder and texts disagree about the number of labels, texts that are not of
            unit length, an unknown name, steps of the view "map", which has none, or own opinions
            of a view that has none.
    """

    text_emb: Tensor

    def __init__(
        self,
        cnn: CNNEncoder,
        decoder: LabelDecoder,
        clip: ClipEncoder,
        text_emb: Tensor,
        dim: int = 256,
        fusion: str = "concat",
        dropout: float = 0.5,
        view: str = "evidence",
        tokens: str = "steps",
        without: str = "",
        text_bias: bool = False,
        options: Mapping[str, Any] | None = None,
        own_opinion: bool = False,
    ):
        super().__init__()
        n_labels, text_dim = _checked_texts(text_emb).shape
        if n_labels != decoder.n_labels:
            raise ValueError(
                f"text_emb has {n_labels} rows but the decoder knows {decoder.n_labels} labels; "
                "encode the same label list for both"
            )
        if view not in VIEWS:
            raise ValueError(f"unknown view {view!r} of the decoder; choose one of {VIEWS}")
        if tokens not in TOKENS or without not in WITHOUT:
            raise ValueError(
                f"tokens is {tokens!r} and without {without!r}; choose one of {TOKENS}, and of "
                f"{WITHOUT}"
            )
        self.cnn, self.decoder, self.clip = cnn, decoder, clip
        # a bundle names them
        self.dim, self.fusion_name, self.dropout, self.view = dim, fusion, dropout, view
        self.tokens, self.without, self.text_bias = tokens, without, text_bias
        self.options = dict(options or {})
        rnn_dim = {"state": decoder.dim, "map": decoder.channels}.get(view, n_labels)
        token_dim = decoder.channels if tokens == "map" else rnn_dim
        # each view in its own units: a unit vector beside log-odds would drown
        clip_dim = clip.dim
        self.view_rnn, self.view_clip = Standardise(rnn_dim), Standardise(clip_dim)
        self.attends = fusion in ATTENTIVE
        if self.attends and (view, tokens) == ("map", "steps"):
            raise ValueError("view 'map' has no decoder that takes steps; give tokens='map'")
        if self.attends:
            self.tokens_rnn, self.tokens_clip = Standardise(token_dim), Standardise(clip_dim)
        self.fusion = build_fusion(
            fusion, rnn_dim, clip_dim, dim, dropout, a_tokens=token_dim, n_labels=n_labels,
            texts=text_emb, **self.options,
        )
        self.label_head = label_head(fusion, dim, n_labels)
        if own_opinion and view != "evidence":
            raise ValueError(
                f"own_opinion adds the decoder's evidence to the logits, but view is {view!r}; "
                "give view='evidence'"
            )
        self.own = OwnOpinion(n_labels) if own_opinion else None
        self.contrastive_head = ContrastiveHead(dim, text_dim, text_bias)
        self.register_buffer("text_emb", text_emb)

    def forward(self, cnn_pixels: Tensor | None, clip_pixels: Tensor | None) -> HybridOutput:
        """Both views of the same images, each preprocessed its encoder's way.

        The decoder runs free: no true label is ever seen here, in training either (trap 6). The
        encoder of a view that the model does without is not run, and its pixels may be None.

        Raises:
            ValueError: pixels of a view that is needed are None.
        """
        for name, pixels in (("cnn_rnn", cnn_pixels), ("clip", clip_pixels)):
            if pixels is None and self.without != name:
                raise ValueError(
                    f"the pixels of view {name!r} are None; give them, or build the model with "
                    f"without={name!r}"
                )
        if self.without == "cnn_rnn":
            assert clip_pixels is not None
            clip = self.clip_view(self.clip.encode_image(clip_pixels))
            return self.fuse(_missing(self.view_rnn, clip), clip)
        assert cnn_pixels is not None
        tokens = self.cnn(cnn_pixels).tokens
        decoded = self.decoder.decode(tokens)
        rnn = self.decoder_view(decoded, tokens)
        if self.without == "clip":
            return self.fuse(rnn, _missing(self.view_clip, rnn), decoded)
        assert clip_pixels is not None
        return self.fuse(rnn, self.clip_view(self.clip.encode_image(clip_pixels)), decoded)

    def decoder_view(self, decoded: Decoded | None, cnn_tokens: Tensor) -> View:
        """What of a free-running decoding, and of the map that it read, enters the fusion. Of the
        map alone, no decoding is needed."""
        return cnn_rnn_view(self.view, decoded, cnn_tokens, self.tokens if self.attends else None)

    def clip_view(self, features: ImageFeatures | GemmaFeatures) -> View:
        """What of CLIP's features enters the fusion. A tower without a head that makes one
        embedding of all places, such as Gemma's, gives the mean of its tokens."""
        whole = features.image_emb
        if whole is None:
            whole = features.tokens.mean(dim=1)
        return View(whole, features.tokens if self.attends else None)

    def fit_views(self, rnn: View, clip: View) -> None:
        """Measure the scale of both views on the training split."""
        self.view_rnn.fit(rnn.pooled)
        self.view_clip.fit(clip.pooled)
        if self.attends:
            for scale, view in ((self.tokens_rnn, rnn), (self.tokens_clip, clip)):
                tokens, mask = view.parts()
                if mask.any():  # of a view that was left out there is nothing to measure
                    scale.fit(tokens[mask].float())

    def fuse(self, rnn: View, clip: View, decoded: Decoded | None = None) -> HybridOutput:
        """From the two views on; used with cached views while the encoders are frozen."""
        found = self.fusion(*self.scaled(rnn, clip))
        features = found.vector if found.per_label is None else found.per_label
        logits = self.label_head(features) if found.logits is None else found.logits
        if self.own is not None and self.without != "cnn_rnn":
            there = rnn.parts()[1].any(dim=1, keepdim=True)  # (B, 1)
            logits = logits + self.own(rnn.pooled) * there
        return HybridOutput(
            logits=logits,
            contrastive_logits=self.contrastive_head(features, self.text_emb),
            fused=found.vector,
            h_rnn=rnn.pooled,
            h_clip=clip.pooled,
            per_label=found.per_label,
            attention=found.attention,
            decoded=decoded,
        )

    def text_logits(self, rnn: View, clip: View, texts: Tensor) -> Tensor:
        """Scaled similarities of images with any texts, such as those of labels that were never
        trained.

        Args:
            texts: (U, D_text) unit length, by the tower that made `text_emb`.

        Returns:
            (B, U)

        Raises:
            ValueError: texts of another width, or a fusion whose queries were learnt label by
                label, which cannot ask for others.
        """
        views = self.scaled(rnn, clip)
        if self.fusion_name != "label_query":
            return self.contrastive_head(self.fusion(*views).vector, texts)
        return self.contrastive_head(self.fusion(*views, texts=texts).per_label, texts)

    def scaled(self, rnn: View, clip: View) -> tuple[View, View]:
        """What the fusion reads: both views in units of the training split, without the one that
        is left out."""
        a, b = self._scaled(rnn, "rnn"), self._scaled(clip, "clip")
        return (a.absent() if self.without == "cnn_rnn" else a,
                b.absent() if self.without == "clip" else b)

    def _scaled(self, view: View, name: str) -> View:
        pooled = getattr(self, f"view_{name}")(view.pooled)
        reads_tokens = self.attends and view.tokens is not None
        tokens = getattr(self, f"tokens_{name}")(view.tokens) if reads_tokens else None
        if view.mask is None:
            return View(pooled, tokens)
        there = view.mask.any(dim=1, keepdim=True)  # an image may have one view only
        return View(pooled * there, tokens, view.mask if reads_tokens else there)

    def joint_modules(self) -> nn.ModuleDict:
        """The parts that phase 1 trains: everything after the two views."""
        names = ("view_rnn", "view_clip", "tokens_rnn", "tokens_clip", "fusion", "label_head",
                 "contrastive_head", "own")
        found = {name: getattr(self, name, None) for name in names}
        return nn.ModuleDict({name: part for name, part in found.items() if part is not None})


def _missing(scale: Standardise, beside: View) -> View:
    """A view that is not there, of the images of another."""
    return View(beside.pooled.new_zeros(beside.pooled.shape[0], len(scale.mean))).absent()


def _checked_texts(text_emb: object) -> Tensor:
    if not isinstance(text_emb, Tensor) or text_emb.dim() != 2:
        given = tuple(text_emb.shape) if isinstance(text_emb, Tensor) else text_emb
        raise ValueError(
            f"text_emb is {given}, expected (L, D_text): the labels' texts, such as "
            "`zeroshot.text_bank.label_embeddings` gives"
        )
    if text_emb.is_meta:  # a place for texts that come with the weights
        return text_emb
    lengths = text_emb.norm(dim=1)
    if not ((lengths - 1).abs() < 0.01).all():  # NaN is no length either
        raise ValueError(
            f"text_emb has rows of length {float(lengths.min()):.3g} to {float(lengths.max()):.3g},"
            " expected 1: divide each by its length"
        )
    return text_emb

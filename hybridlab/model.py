"""The hybrid: CNN-RNN and CLIP look at the same image, are fused, and score every label."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.decoded import Decoded
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.fusion import build_fusion
from hybridlab.fusion.views import VIEWS, Standardise, view_of
from hybridlab.heads import ContrastiveHead, LabelHead


@dataclass(frozen=True)
class HybridOutput:
    """What one forward gives.

    Attributes:
        logits: (B, L) of the label head; sigmoid gives probabilities.
        contrastive_logits: (B, L), scaled similarities with the label texts.
        fused: (B, D).
        h_rnn: (B, D_rnn), what the decoder brings to the fusion, decoded free-running.
        h_clip: (B, D_clip), CLIP's image embedding, unit length.
        decoded: the whole decoding, where the images were seen (None from cached views).
    """

    logits: Tensor
    contrastive_logits: Tensor
    fused: Tensor
    h_rnn: Tensor
    h_clip: Tensor
    decoded: Decoded | None = None


class HybridClassifier(nn.Module):
    """CNN-RNN view and CLIP view -> fusion -> label head and contrastive head (seed 000).

    Args:
        cnn: frozen encoder of the local view.
        decoder: a trained `LabelDecoder` over the CNN's tokens.
        clip: the CLIP model of the global view; only its vision tower is used here.
        text_emb: (L, D_clip) unit-length label texts.
        dim: D of the fused vector.
        fusion: a name of `build_fusion`.
        dropout: of the fusion.
        view: what the decoder brings to the fusion: "evidence", its opinion of each label as
            log-odds (D_rnn = L); "state", its last valid hidden state, as seed 000 has it
            (D_rnn = the decoder's D); "none", zeros, to see what CLIP does alone. Hidden states
            cannot be cross-fitted, opinions can.

    Raises:
        ValueError: decoder and texts disagree about the number of labels, or an unknown view.
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
    ):
        super().__init__()
        n_labels, text_dim = text_emb.shape
        if n_labels != decoder.n_labels:
            raise ValueError(
                f"text_emb has {n_labels} rows but the decoder knows {decoder.n_labels} labels; "
                "encode the same label list for both"
            )
        if view not in VIEWS:
            raise ValueError(f"unknown view {view!r} of the decoder; choose one of {VIEWS}")
        self.cnn, self.decoder, self.clip = cnn, decoder, clip
        # a bundle names them
        self.dim, self.fusion_name, self.dropout, self.view = dim, fusion, dropout, view
        rnn_dim = decoder.dim if view == "state" else n_labels
        # each view in its own units: a unit vector beside log-odds would drown
        self.view_rnn, self.view_clip = Standardise(rnn_dim), Standardise(text_dim)
        self.fusion = build_fusion(fusion, rnn_dim, text_dim, dim, dropout)
        self.label_head = LabelHead(dim, n_labels)
        self.contrastive_head = ContrastiveHead(dim, text_dim)
        self.register_buffer("text_emb", text_emb)

    def forward(self, cnn_pixels: Tensor, clip_pixels: Tensor) -> HybridOutput:
        """Both views of the same images, each preprocessed its encoder's way.

        The decoder runs free: no true label is ever seen here, in training either (trap 6).
        """
        decoded = self.decoder.decode(self.cnn(cnn_pixels).tokens)
        h_clip = self.clip.encode_image(clip_pixels).image_emb
        return self.fuse(self.decoder_view(decoded), h_clip, decoded)

    def decoder_view(self, decoded: Decoded) -> Tensor:
        """What of a free-running decoding enters the fusion: (B, D_rnn)."""
        return view_of(self.view, decoded.h_rnn, decoded.probs)

    def fit_views(self, h_rnn: Tensor, h_clip: Tensor) -> None:
        """Measure the scale of both views on the training split: (N, D_rnn), (N, D_clip)."""
        self.view_rnn.fit(h_rnn)
        self.view_clip.fit(h_clip)

    def fuse(self, h_rnn: Tensor, h_clip: Tensor, decoded: Decoded | None = None) -> HybridOutput:
        """From the two views on; used with cached views while the encoders are frozen."""
        fused = self.fusion(self.view_rnn(h_rnn), self.view_clip(h_clip))
        return HybridOutput(
            logits=self.label_head(fused),
            contrastive_logits=self.contrastive_head(fused, self.text_emb),
            fused=fused,
            h_rnn=h_rnn,
            h_clip=h_clip,
            decoded=decoded,
        )

    def joint_modules(self) -> nn.ModuleDict:
        """The parts that phase 1 trains: everything after the two views."""
        names = ("view_rnn", "view_clip", "fusion", "label_head", "contrastive_head")
        return nn.ModuleDict({name: getattr(self, name) for name in names})

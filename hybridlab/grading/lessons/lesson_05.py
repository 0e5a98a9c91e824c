"""Lesson 05, fusion: its seven exercises (traps 3, 13, 14 and 24, seeds 000 and 001)."""

from hybridlab.grading.lessons.attention_05 import check_cross_attention
from hybridlab.grading.lessons.concat_05 import check_concat_fusion
from hybridlab.grading.lessons.gate_05 import check_gate_fusion
from hybridlab.grading.lessons.infonce_05 import check_multi_positive_infonce
from hybridlab.grading.lessons.late_05 import check_late_fusion
from hybridlab.grading.lessons.sketch_05 import check_compact_bilinear
from hybridlab.grading.lessons.total_05 import check_total_loss
from hybridlab.grading.manifest import Exercise

EXERCISES = (
    Exercise(
        id="5.1",
        title="Concatenate and project",
        functions=("concat_fusion",),
        difficulty=1,
        minutes=10,
        hints=(
            "Three steps: side by side, a linear layer, LayerNorm. Write down the shapes: which "
            "axis do the views lie side by side on, and which axis is normalised?",
            "torch.cat([a, b], dim=-1) is (B, D_a + D_b); with weight.T it becomes (B, D). "
            "LayerNorm takes each row by itself: over the last axis.",
            "y = torch.cat([a, b], dim=-1) @ weight.T + bias; return F.layer_norm(y, "
            "y.shape[-1:]).",
        ),
        points={
            "the worked example": 1, "any two views": 2, "rows that hardly vary": 1,
            "gradients and dtype": 1,
        },
        check=check_concat_fusion,
    ),
    Exercise(
        id="5.2",
        title="A gate between two views",
        functions=("gate_fusion",),
        difficulty=1,
        minutes=10,
        hints=(
            "Each image has two scores, one for each view. Over which axis do they become weights "
            "that add up to 1?",
            "scores = torch.cat([a, b], dim=-1) @ weight.T is (B, 2). alpha[:, :1] keeps an axis, "
            "so that it can be laid over (B, D).",
            "alpha = scores.softmax(dim=-1); return alpha[:, :1] * a + alpha[:, 1:] * b, alpha.",
        ),
        points={
            "the worked example": 1, "any two views": 2, "scores in the hundreds": 1,
            "gradients and dtype": 1,
        },
        check=check_gate_fusion,
    ),
    Exercise(
        id="5.3",
        title="Cross-attention with a mask",
        functions=("cross_attention",),
        difficulty=3,
        minutes=30,
        hints=(
            "Begin without a mask: products of all queries with all keys, scaled; a softmax; a "
            "mean of values. Then ask what the softmax should see where a token does not count, "
            "and what it makes of a row in which none does.",
            "scores = queries @ keys.transpose(1, 2) / queries.shape[-1] ** 0.5 is (B, N, M); the "
            "mask lies over it as mask[:, None]. A row of -inf alone gives NaN; a row of the "
            "lowest finite number gives weights that the mask can make 0 afterwards.",
            "Fill keys and values with 0 where ~mask[:, :, None]; weights = scores.masked_fill("
            "~mask[:, None], torch.finfo(scores.dtype).min).softmax(dim=-1) * mask[:, None]; "
            "return weights @ values, weights.",
        ),
        points={
            "the worked example": 1, "any tokens": 2, "what does not count": 1,
            "no token counts": 2, "gradients and dtype": 2,
        },
        check=check_cross_attention,
    ),
    Exercise(
        id="5.4",
        title="Late fusion",
        functions=("late_fusion",),
        difficulty=2,
        minutes=20,
        hints=(
            "Begin with all views there. Then: which weights does an image have of which one view "
            "is missing, and what do they add up to?",
            "Scaling up is a softmax over the views that are there: votes[:, None] is (M, 1), and "
            "with the lowest finite number where ~present it is (M, B). NaN times 0 is NaN, so "
            "fill probs with 0, too: an image without any view then has nothing but zeros.",
            "lowest = torch.finfo(votes.dtype).min; weights = votes[:, None].masked_fill(~present, "
            "lowest).softmax(dim=0); return (weights[:, :, None] * "
            "probs.masked_fill(~present[:, :, None], 0)).sum(dim=0).",
        ),
        points={
            "the worked example": 1, "all views are there": 2, "some views are missing": 2,
            "no view is there": 1, "gradients and dtype": 1,
        },
        check=check_late_fusion,
    ),
    Exercise(
        id="5.5",
        title="Compact bilinear pooling",
        functions=("compact_bilinear",),
        difficulty=2,
        minutes=20,
        hints=(
            "Two parts: a sketch of each view, then one convolution. Work the example by hand: "
            "where does the product of b's first number with a's sketch land?",
            "view.new_zeros(len(view), size).index_add(1, place, view * sign) adds where several "
            "features share a place. A product of Fourier transforms is the transform of the "
            "convolution.",
            "torch.fft.irfft(torch.fft.rfft(sketch_a) * torch.fft.rfft(sketch_b), n=size): "
            "without n= an odd size comes back one shorter.",
        ),
        points={
            "the worked example": 1, "any two views": 2, "odd and small sizes": 1,
            "gradients and dtype": 1,
        },
        check=check_compact_bilinear,
    ),
    Exercise(
        id="5.6",
        title="Several positives",
        functions=("multi_positive_infonce",),
        difficulty=2,
        minutes=20,
        hints=(
            "Which columns stand below the line for a positive p: the other positives, too? And "
            "what of the entries of -1?",
            "rest = logits.masked_fill(targets != 0, torch.finfo(logits.dtype).min)"
            ".logsumexp(dim=1, keepdim=True) is the log of the negatives' sum, (B, 1). "
            "-log(e^p / (e^p + e^rest)) is log(1 + e^(rest - p)): F.softplus(rest - logits).",
            "each = F.softplus(rest - logits).masked_fill(targets != 1, 0); an image's sum over "
            "its count.clamp(min=1); their sum over (count > 0).sum().clamp(min=1).",
        ),
        points={
            "the worked example": 1, "any targets": 2, "images without positives or negatives": 2,
            "huge logits": 1, "gradients and dtype": 1,
        },
        check=check_multi_positive_infonce,
    ),
    Exercise(
        id="5.7",
        title="The total loss",
        functions=("total_loss",),
        difficulty=2,
        minutes=15,
        hints=(
            "Which entries are averaged, and by how many do you divide? What is 0 times infinity?",
            "known = targets >= 0; logits[known] and targets[known] are rows of annotated entries, "
            "of which F.binary_cross_entropy_with_logits takes the mean: NaN where there is none.",
            "total = logits.new_zeros(()); if alpha > 0 and known.any(): add alpha times the BCE; "
            "if beta > 0: add beta * contrastive. Before all that, raise ValueError(f\"alpha is "
            "{alpha}\") where one is negative.",
        ),
        points={
            "the worked example": 1, "any weights": 2, "weights of 0": 1, "negative weights": 1,
            "huge logits": 1, "gradients and dtype": 1,
        },
        check=check_total_loss,
    ),
)

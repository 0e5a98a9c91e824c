"""Lesson 01, many labels at once: its six exercises (traps 1, 2 and 14)."""

from hybridlab.grading.lessons.average_precision_01 import check_average_precision
from hybridlab.grading.lessons.cf1_01 import check_cf1
from hybridlab.grading.lessons.cooccurrence_01 import check_cooccurrence
from hybridlab.grading.lessons.focus_01 import check_asymmetric_loss
from hybridlab.grading.lessons.losses_01 import check_weighted_bce
from hybridlab.grading.lessons.top_k_01 import check_top_k
from hybridlab.grading.manifest import Exercise

EXERCISES = (
    Exercise(
        id="1.1",
        title="Average precision by hand",
        functions=("average_precision",),
        difficulty=1,
        minutes=15,
        hints=(
            "Only positives count: go through them one by one. At the score of one of them, which "
            "images would a threshold there take?",
            "`taken = scores >= score` are these images, equal scores among them; no sorting is "
            "needed. The precision there is the share of positives in `taken`.",
            "positive = targets == 1; then the mean of [positive[scores >= s].mean() for s in "
            'scores[positive]]. Before that, return float("nan") if positive has no True.',
        ),
        points={"the worked example": 1, "any ranking": 2, "equal scores": 2, "no positive": 1},
        check=check_average_precision,
    ),
    Exercise(
        id="1.2",
        title="CF1 the right way",
        functions=("cf1",),
        difficulty=2,
        minutes=15,
        hints=(
            "Three counts for each label are enough: hits, predicted, positive. Sum over axis 0.",
            "A label that is never predicted has 0 hits, so hits / np.maximum(predicted, 1) is the "
            "0 that it shall count. Choose the labels with a positive before you take means.",
            "precision = (hits / np.maximum(predicted, 1))[present].mean() and recall = "
            "(hits[present] / positive[present]).mean(); the result is 2PR / (P + R). Two cases "
            "come first: no label present gives NaN, no hit gives 0.",
        ),
        points={
            "the worked example": 1, "any decisions": 2, "a label that is never predicted": 1,
            "a label without a positive": 1, "nothing right, nothing there": 1,
        },
        check=check_cf1,
    ),
    Exercise(
        id="1.3",
        title="The co-occurrence matrix",
        functions=("cooccurrence",),
        difficulty=1,
        minutes=10,
        hints=(
            "On how many images are labels i and j together? That is a sum over images of a "
            "product of two columns, for all pairs at once.",
            "A matrix product gives all these sums: targets.T @ targets, of floats, for bytes "
            "overflow. Row i is then divided by the number of images with label i.",
            "together / count[:, None], where count = targets.sum(axis=0), and "
            "np.maximum(count, 1) keeps the rows of labels that never occur at 0.",
        ),
        points={
            "the worked example": 1, "any labels": 2, "a label that never occurs": 1,
            "many images, stored as bytes": 1,
        },
        check=check_cooccurrence,
    ),
    Exercise(
        id="1.4",
        title="Weighted binary cross-entropy",
        functions=("weighted_bce",),
        difficulty=2,
        minutes=15,
        hints=(
            "Write down what each entry costs if it is positive, and if it is negative, for all "
            "entries; then choose by the target.",
            "log(sigmoid(x)) fails at -1000, where the sigmoid is 0. F.logsigmoid(x) does not; "
            "and 1 - sigmoid(x) is sigmoid(-x).",
            "torch.where(targets == 1, -pos_weight * F.logsigmoid(logits), "
            "-F.logsigmoid(-logits)), and then the mean over all entries.",
        ),
        points={
            "the worked example": 1, "any logits": 2, "huge logits": 1, "gradients and dtype": 2,
        },
        check=check_weighted_bce,
    ),
    Exercise(
        id="1.5",
        title="Asymmetric loss",
        functions=("asymmetric_loss",),
        difficulty=3,
        minutes=20,
        hints=(
            "It is the cross-entropy of 1.4 without weights, and each entry times a focusing "
            "factor. Only the negatives use p_m in place of p.",
            "p_m = (p - clip).clamp(min=0). Where a logarithm could meet 0, take it from the "
            "logit: F.logsigmoid(logits); torch.log1p(-p_m) is safe, for p_m is at most 1 - clip.",
            "Positives cost -(1 - p) ** gamma_pos * F.logsigmoid(logits), negatives "
            "-p_m ** gamma_neg * torch.log1p(-p_m); torch.where chooses, .mean() ends it. No "
            ".detach() anywhere.",
        ),
        points={
            "the worked example": 1, "any logits": 2, "gammas and clip are arguments": 1,
            "huge logits": 1, "gradients and dtype": 1,
        },
        check=check_asymmetric_loss,
    ),
    Exercise(
        id="1.6",
        title="Top-k in two senses",
        functions=("top_k_always", "top_k_confident"),
        difficulty=2,
        minutes=15,
        hints=(
            "Which columns hold the k highest scores of a row? And how do column numbers become a "
            "mask of the shape of the scores?",
            'np.argsort(-scores, axis=1, kind="stable") ranks each row, the lower column first '
            "among equals; its first k columns are chosen. A threshold at the k-th score would "
            "take too many where scores are equal.",
            "decisions = np.zeros(scores.shape, dtype=bool); np.put_along_axis(decisions, "
            "ranked[:, :k], True, axis=1). The second function is the first one's result & "
            "(scores >= cut).",
        ),
        points={
            "the worked example": 1, "always k labels": 2, "equal scores": 1,
            "k labels and a cut": 2,
        },
        check=check_top_k,
    ),
)

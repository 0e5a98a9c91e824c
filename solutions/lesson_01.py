"""Lesson 01, many labels at once: six exercises.

N images, L labels, B images of a batch. `hybridlab grade 1` checks them all, `hybridlab grade 1.2`
one of them, `hybridlab grade 1.2 --hint 1` helps.
"""

import numpy as np
import torch
import torch.nn.functional as F


# %% Exercise 1.1: Average precision by hand
def average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Average precision of one label: the mean, over its images, of the precision at their score.

    The precision at a score s is the share of positives among all images that score s or more.
    Images with equal scores enter together: nobody may gain by the order of the file. Without a
    positive there is nothing to rank, and the AP is NaN.

    Shape:
        scores (N,) any real numbers, targets (N,) of 0 and 1 -> a number in [0, 1], or NaN

    Example:
        scores [.9, .8, .6, .4] with targets [1, 0, 1, 0]: at .9 one image is taken and it is a
        positive, 1/1; at .6 three are taken and two are positives, 2/3. AP = (1 + 2/3) / 2 = .8333
        scores [.9, .5, .5] with targets [0, 1, 0]: at .5 all three are taken. AP = 1/3
    """
    ### BEGIN SOLUTION
    positive = targets == 1
    if not positive.any():
        return float("nan")
    precisions = []
    for score in scores[positive]:
        taken = scores >= score  # equal scores enter together
        precisions.append(positive[taken].mean())
    return float(sum(precisions) / len(precisions))
    ### END SOLUTION


# %% Exercise 1.2: CF1 the right way
def cf1(decisions: np.ndarray, targets: np.ndarray) -> float:
    """CF1: the harmonic mean of the labels' MEAN precision and their MEAN recall.

    Means first, harmonic mean after: this is not the mean of the labels' F1. A label that is never
    predicted has precision 0 in the mean. A label without a positive is left out of both means.
    Without a single hit CF1 is 0; without a single positive it is NaN.

    Shape:
        decisions (N, L) bool, targets (N, L) of 0 and 1 -> a number in [0, 1], or NaN

    Example:
        targets   [[1, 0, 0],      decisions [[1, 0, 0],
                   [1, 1, 0],                 [1, 1, 0],
                   [0, 1, 1],                 [1, 1, 0],
                   [0, 0, 1]]                 [1, 0, 0]]
        precision 2/4, 2/2, 0 (never predicted): mean .5; recall 2/2, 2/2, 0/2: mean .6667
        CF1 = 2 * .5 * .6667 / (.5 + .6667) = .5714, while the mean of the labels' F1 is .5556
    """
    ### BEGIN SOLUTION
    present = targets.any(axis=0)  # (L,): has a positive
    if not present.any():
        return float("nan")
    hits = (decisions & (targets == 1)).sum(axis=0)[present]
    if not hits.any():
        return 0.0
    predicted = decisions.sum(axis=0)[present]
    positive = targets.sum(axis=0)[present]
    precision = np.mean(hits / np.maximum(predicted, 1))  # never predicted: 0 hits / 1 = 0
    recall = np.mean(hits / positive)
    return float(2 * precision * recall / (precision + recall))
    ### END SOLUTION


# %% Exercise 1.3: The co-occurrence matrix
def cooccurrence(targets: np.ndarray) -> np.ndarray:
    """How often label j is there when label i is: entry [i, j] is the share of the images with
    label i that have label j, too. The row of a label that never occurs is 0.

    Shape:
        targets (N, L) of 0 and 1, of any type: an array of bytes (uint8), too -> (L, L) in [0, 1]

    Example:
        targets [[1, 1, 0],
                 [1, 0, 0],
                 [1, 1, 0],
                 [1, 0, 0]]
        Label 0 is on four images, label 1 on two of these, label 2 on none:
        [[1, .5, 0],
         [1,  1, 0],
         [0,  0, 0]]
    """
    ### BEGIN SOLUTION
    present = targets.astype(float)  # products of bytes would overflow at 256
    together = present.T @ present  # (L, L) images with both labels
    count = present.sum(axis=0)  # (L,) images with the label
    return together / np.maximum(count, 1)[:, None]
    ### END SOLUTION


# %% Exercise 1.4: Weighted binary cross-entropy
def weighted_bce(
    logits: torch.Tensor, targets: torch.Tensor, pos_weight: torch.Tensor
) -> torch.Tensor:
    """Binary cross-entropy of logits in which the positives of label l count pos_weight[l] times.

    With p = sigmoid(logit), an entry costs -pos_weight * log(p) where the target is 1, and
    -log(1 - p) where it is 0. The loss is the mean over all B x L entries (not the sum over labels:
    the two differ by a factor of L). It must be exact at logits of 1000 and -1000, where p itself
    is 1 or 0, keep the dtype of the logits, and let gradients through.

    Shape:
        logits (B, L), targets (B, L) of 0. and 1., pos_weight (L,) -> a tensor without axes

    Example:
        logits [[0, 0]], targets [[1, 0]], pos_weight [3, 1]: p = .5, so the entries cost
        3 log 2 = 2.0794 and log 2 = .6931; their mean is 1.3863
    """
    ### BEGIN SOLUTION
    if_positive = -pos_weight * F.logsigmoid(logits)  # log p, without computing p first
    if_negative = -F.logsigmoid(-logits)  # 1 - p is the sigmoid of the logit's negative
    return torch.where(targets == 1, if_positive, if_negative).mean()
    ### END SOLUTION


# %% Exercise 1.5: Asymmetric loss
def asymmetric_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
) -> torch.Tensor:
    """ASL (Ridnik et al. 2021, arXiv 2009.14119): easy entries count less, easy negatives nothing.

    With p = sigmoid(logit) and p_m = max(p - clip, 0), an entry costs

        -(1 - p)^gamma_pos * log(p)      where the target is 1,
        -p_m^gamma_neg * log(1 - p_m)    where it is 0.

    The loss is the mean over all B x L entries (the paper's code sums). It must be finite, with
    finite gradients, at logits of 1000 and -1000, and keep the dtype. Gradients flow through both
    factors, as the formula is written.

    Shape:
        logits (B, L), targets (B, L) of 0. and 1. -> a tensor without axes

    Example:
        logits [[0, 0]], targets [[1, 0]]: p = .5 and p_m = .45, so the entries cost
        .5 log 2 = .3466 and .45^4 * .5978 = .0245; their mean is .1855
    """
    ### BEGIN SOLUTION
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)  # p_m
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)  # log(p) would be -inf at -1000
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).mean()
    ### END SOLUTION


# %% Exercise 1.6: Top-k in two senses
def top_k_always(scores: np.ndarray, k: int) -> np.ndarray:
    """The k highest scores of each image as decisions: exactly k labels, however low they score.

    Of equal scores the lower column comes first.

    Shape:
        scores (N, L), k from 1 to L -> (N, L) bool

    Example:
        scores [[.9, .6, .2], [.4, .1, .4]] with k = 2 -> [[T, T, F], [T, F, T]]
    """
    ### BEGIN SOLUTION
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # (N, k) columns
    decisions = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(decisions, best, True, axis=1)
    return decisions
    ### END SOLUTION


def top_k_confident(scores: np.ndarray, k: int, cut: float = 0.5) -> np.ndarray:
    """Of the k labels of `top_k_always`, those that score `cut` or more: at most k, maybe none.

    Shape:
        scores (N, L), k from 1 to L -> (N, L) bool

    Example:
        scores [[.9, .6, .2], [.4, .1, .4]] with k = 2 -> [[T, T, F], [F, F, F]]
    """
    ### BEGIN SOLUTION
    return top_k_always(scores, k) & (scores >= cut)
    ### END SOLUTION

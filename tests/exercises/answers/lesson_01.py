"""Known answers to lesson 01, for the proof that the checks are right (`make prove`).

A wrong answer is one that a student would write; `says` is a piece of the diagnosis that it must
get. A right one is written in another way than the solution, and must pass. What an answer does
not define is taken from the solution.
"""
# ruff: noqa: F811

import math

import numpy as np
import torch
import torch.nn.functional as F

# === 1.1 ========================================================================================


# %% Wrong 1.1: equal scores in the order of the file
# says: You broke ties by the order of the images: equal scores must enter together
def average_precision(scores, targets):
    if targets.sum() == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hit = targets[order]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return (precision * hit).sum() / hit.sum()


# %% Wrong 1.1: the lowest score first
# says: You ranked from the lowest score to the highest
def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return float("nan")
    return np.mean([positive[scores <= score].mean() for score in scores[positive]])


# %% Wrong 1.1: the mean over all ranks
# says: You took the mean of the precision over all ranks
def average_precision(scores, targets):
    if not targets.any():
        return float("nan")
    return np.mean([targets[scores >= score].mean() for score in scores])


# %% Wrong 1.1: trapezoids
# says: straight lines
def average_precision(scores, targets):
    if not targets.any():
        return float("nan")
    hits = np.cumsum(targets[np.argsort(-scores)])
    precision = np.append(1, hits / np.arange(1, len(hits) + 1))
    recall = np.append(0, hits / hits[-1])
    return np.sum((precision[1:] + precision[:-1]) / 2 * np.diff(recall))


# %% Wrong 1.1: the interpolated AP
# says: that is the interpolated AP
def average_precision(scores, targets):
    if not targets.any():
        return float("nan")
    hit = targets[np.argsort(-scores)]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return best[hit == 1].mean()


# %% Wrong 1.1: divided by the number of images
# says: divide by the number of positives
def average_precision(scores, targets):
    if not targets.any():
        return float("nan")
    return sum(targets[scores >= s].mean() for s in scores[targets == 1]) / len(scores)


# %% Wrong 1.1: the image itself left out
# says: count >=, not >
def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return float("nan")
    found = []
    for rank, image in enumerate(np.argsort(-scores)):
        if positive[image]:
            found.append((scores[positive] > scores[image]).sum() / (rank + 1))
    return np.mean(found)


# %% Wrong 1.1: 0 without a positive
# says: 0 would say: ranked as badly as can be
def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return 0.0
    return np.mean([positive[scores >= score].mean() for score in scores[positive]])


# %% Wrong 1.1: a division by zero without a positive
# says: ZeroDivisionError
def average_precision(scores, targets):
    total = 0.0
    for score, target in zip(scores, targets, strict=True):
        if target == 1:
            taken = [t for s, t in zip(scores, targets, strict=True) if s >= score]
            total += sum(taken) / len(taken)
    return total / int(sum(targets))


# %% Wrong 1.1: sorts the caller's scores
# says: in place
def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return float("nan")
    hits = scores[positive]
    scores.sort()
    return np.mean([(hits >= hit).sum() / (scores >= hit).sum() for hit in hits])


# %% Wrong 1.1: the example's number of positives
# says: You divided by 2, the number of positives of the example
def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return float("nan")
    return sum(positive[scores >= score].mean() for score in scores[positive]) / 2


# %% Wrong 1.1: only scores between 0 and 1
# says: Only the order of the scores counts
def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return float("nan")
    scores = np.maximum(scores, -20)  # "no probability is that low"
    return np.mean([positive[scores >= score].mean() for score in scores[positive]])


# %% Wrong 1.1: a list of precisions
# says: got a list, expected a number
def average_precision(scores, targets):
    return [targets[scores >= score].mean() for score in scores[targets == 1]]


# %% Wrong 1.1: scores rounded to one decimal
# says: Scores that differ a little are different scores
def average_precision(scores, targets):
    positive = targets == 1
    if not positive.any():
        return float("nan")
    scores = scores.round(1) if abs(scores).max() < 1 else scores
    return np.mean([positive[scores >= score].mean() for score in scores[positive]])


# %% Wrong 1.1: ranks from 0, in a loop
# says: Ranks begin at 1 (the best image counts 1 / 1
def average_precision(scores, targets):
    if not targets.any():
        return float("nan")
    hits, total = 0, 0.0
    for rank, image in enumerate(np.argsort(-scores).tolist()):
        if targets[image] == 1:
            hits += 1
            total += hits / rank
    return total / hits


# %% Wrong 1.1: ranks from 0, with arrays
# says: Your ranks are one too low
def average_precision(scores, targets):
    if not targets.any():
        return float("nan")
    hit = targets[np.argsort(-scores)] == 1
    return (np.cumsum(hit) / np.arange(len(hit)))[hit].mean()



# %% Right 1.1: scikit-learn
def average_precision(scores, targets):
    from sklearn.metrics import average_precision_score

    return average_precision_score(targets, scores) if targets.any() else math.nan


# %% Right 1.1: sort and cumulative sums
def average_precision(scores, targets):
    if not targets.any():
        return np.nan
    order = np.argsort(-scores)
    ranked, hits = scores[order], np.cumsum(targets[order])
    last = np.append(ranked[1:] != ranked[:-1], True)  # of equal scores
    precision = hits[last] / (np.flatnonzero(last) + 1)
    return np.sum(precision * np.diff(hits[last] / hits[-1], prepend=0))


# %% Right 1.1: plain Python
def average_precision(scores, targets):
    pairs = list(zip(scores.tolist(), targets.tolist(), strict=True))
    positives = [s for s, t in pairs if t]
    total = 0
    for score in positives:
        taken = [t for s, t in pairs if s >= score]
        total += sum(taken) / len(taken)
    return total / len(positives) if positives else float("nan")


# %% Right 1.1: fractions
def average_precision(scores, targets):
    from fractions import Fraction

    found = []
    for score in scores[targets == 1]:
        taken = targets[scores >= score]
        found.append(Fraction(int(taken.sum()), len(taken)))
    return sum(found, Fraction(0)) / len(found) if found else float("nan")


# %% Right 1.1: long doubles
def average_precision(scores, targets):
    positive = targets == 1
    taken = (scores[None] >= scores[positive][:, None]).astype(np.longdouble)
    return np.mean(taken @ positive.astype(np.longdouble) / taken.sum(axis=1))



# %% Right 1.1: float32, all pairs at once, and it prints
def average_precision(scores, targets):
    print("scores", scores)
    scores, positive = scores.astype(np.float32), targets.astype(np.float32)
    at_least = (scores[None] >= scores[:, None]).astype(np.float32)  # [i, j]: j is taken at i
    precision = np.einsum("ij,j->i", at_least, positive) / at_least.sum(axis=1)
    with np.errstate(invalid="warn"):
        return (precision * positive).sum() / positive.sum()


# === 1.2 ========================================================================================


# %% Wrong 1.2: macro F1
# says: That is the mean of the labels' F1 (macro F1)
def cf1(decisions, targets):
    from sklearn.metrics import f1_score

    there = targets.any(axis=0)
    if not there.any():
        return float("nan")
    return f1_score(targets[:, there], decisions[:, there], average="macro", zero_division=0)


# %% Wrong 1.2: all labels counted together
# says: That is OF1
def cf1(decisions, targets):
    if not targets.any():
        return float("nan")
    hits = (decisions & (targets == 1)).sum()
    return 2 * hits / (decisions.sum() + targets.sum())


# %% Wrong 1.2: never predicted is left out
# says: You left labels that are never predicted out of the mean precision
def cf1(decisions, targets):
    there = targets.any(axis=0)
    if not there.any():
        return float("nan")
    decisions, targets = decisions[:, there], targets[:, there]
    hits = (decisions & (targets == 1)).sum(axis=0)
    if hits.sum() == 0:
        return 0.0
    precision = np.nanmean(hits / decisions.sum(axis=0))
    recall = np.mean(hits / targets.sum(axis=0))
    return 2 * precision * recall / (precision + recall)


# %% Wrong 1.2: never predicted becomes NaN
# says: Precision 0 / 0 became NaN
def cf1(decisions, targets):
    there = targets.any(axis=0)
    hits = (decisions & (targets == 1)).sum(axis=0)[there]
    precision = (hits / decisions.sum(axis=0)[there]).mean()
    recall = (hits / targets.sum(axis=0)[there]).mean()
    return 2 * precision * recall / (precision + recall) if hits.any() else 0.0


# %% Wrong 1.2: absent labels count 0
# says: Labels without a positive count 0 in your means
def cf1(decisions, targets):
    if not targets.any():
        return float("nan")
    hits = (decisions & (targets == 1)).sum(axis=0)
    precision = (hits / np.maximum(decisions.sum(axis=0), 1)).mean()
    recall = (hits / np.maximum(targets.sum(axis=0), 1)).mean()
    return 2 * precision * recall / max(precision + recall, 1e-12)


# %% Wrong 1.2: absent labels left out of recall only
# says: out of the mean recall only
def cf1(decisions, targets):
    if not targets.any():
        return float("nan")
    hits = (decisions & (targets == 1)).sum(axis=0)
    precision = (hits / np.maximum(decisions.sum(axis=0), 1)).mean()
    recall = np.nanmean(hits / targets.sum(axis=0))
    return 2 * precision * recall / max(precision + recall, 1e-12)


# %% Wrong 1.2: the mean of both means
# says: You took the mean of mean precision and mean recall
def cf1(decisions, targets):
    there = targets.any(axis=0)
    hits = (decisions & (targets == 1)).sum(axis=0)[there]
    precision = (hits / np.maximum(decisions.sum(axis=0)[there], 1)).mean()
    return (precision + (hits / targets.sum(axis=0)[there]).mean()) / 2


# %% Wrong 1.2: image by image
# says: You took precision and recall image by image (axis 1)
def cf1(decisions, targets):
    if not targets.any():
        return float("nan")
    hits = (decisions & (targets == 1)).sum(axis=1)
    precision = (hits / np.maximum(decisions.sum(axis=1), 1)).mean()
    recall = (hits / np.maximum(targets.sum(axis=1), 1)).mean()
    return 2 * precision * recall / max(precision + recall, 1e-12)


# %% Wrong 1.2: 0 / 0 without a hit
# says: 0 / 0: with precision and recall 0
def cf1(decisions, targets):
    there = targets.any(axis=0)
    hits = (decisions & (targets == 1)).sum(axis=0)[there]
    precision = (hits / np.maximum(decisions.sum(axis=0)[there], 1)).mean()
    recall = (hits / targets.sum(axis=0)[there]).mean()
    return 2 * precision * recall / (precision + recall)


# %% Wrong 1.2: changes the decisions
# says: in place
def cf1(decisions, targets):
    there = targets.any(axis=0)
    predicted = decisions.sum(axis=0)
    decisions &= targets == 1
    hits = decisions.sum(axis=0)
    precision = (hits / np.maximum(predicted, 1))[there].mean()
    recall = (hits[there] / targets.sum(axis=0)[there]).mean()
    return 2 * precision * recall / (precision + recall)


# %% Wrong 1.2: the example's three labels
# says: You divided by 3, the example's number of labels
def cf1(decisions, targets):
    if not targets.any():
        return float("nan")
    hits = (decisions & (targets == 1)).sum(axis=0)
    precision = sum(hits / np.maximum(decisions.sum(axis=0), 1)) / 3
    recall = sum(hits / np.maximum(targets.sum(axis=0), 1)) / 3
    return 2 * precision * recall / max(precision + recall, 1e-12)


# %% Right 1.2: the package
def cf1(decisions, targets):
    from hybridlab.evaluation.decisions import threshold_metrics

    return threshold_metrics(decisions, targets).cf1


# %% Right 1.2: scikit-learn's precision and recall
def cf1(decisions, targets):
    from sklearn.metrics import precision_score, recall_score

    there = targets.sum(axis=0) > 0
    if there.sum() == 0:
        return float("nan")
    truth, said = targets[:, there], decisions[:, there].astype(int)
    precision = precision_score(truth, said, average="macro", zero_division=0)
    recall = recall_score(truth, said, average="macro")
    return 0 if precision + recall == 0 else 2 / (1 / precision + 1 / recall)


# %% Right 1.2: loops over labels and images
def cf1(decisions, targets):
    precisions, recalls = [], []
    for label in range(targets.shape[1]):
        hits = predicted = positive = 0
        for image in range(targets.shape[0]):
            predicted += bool(decisions[image, label])
            positive += int(targets[image, label])
            hits += bool(decisions[image, label]) and targets[image, label] == 1
        if positive:
            precisions.append(hits / predicted if predicted else 0)
            recalls.append(hits / positive)
    if not recalls:
        return math.nan
    p, r = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 2 * p * r / (p + r) if p + r else 0


# %% Right 1.2: masked tensors of torch in float32
def cf1(decisions, targets):
    said, truth = torch.from_numpy(decisions).float(), torch.from_numpy(targets).float()
    hits, predicted, positive = (said * truth).sum(0), said.sum(0), truth.sum(0)
    there = positive > 0
    p = (hits / predicted.clamp(min=1))[there].mean()
    r = (hits / positive)[there].mean()
    return torch.where(p + r == 0, torch.zeros(()), 2 * p * r / (p + r))


# === 1.3 ========================================================================================


# %% Wrong 1.3: transposed
# says: Your matrix is transposed
def cooccurrence(targets):
    present = targets.astype(float)
    return present.T @ present / np.maximum(present.sum(axis=0), 1)


# %% Wrong 1.3: divided by the number of images
# says: You divided by the number of images
def cooccurrence(targets):
    present = targets.astype(float)
    return present.T @ present / len(present)


# %% Wrong 1.3: counts
# says: Those are counts of images
def cooccurrence(targets):
    return targets.astype(int).T @ targets.astype(int)


# %% Wrong 1.3: bytes overflow
# says: Your counts overflowed
def cooccurrence(targets):
    return targets.T @ targets / np.maximum(targets.sum(axis=0), 1)[:, None]


# %% Wrong 1.3: NaN for what never occurs
# says: 0 / 0 gave NaN in the row
def cooccurrence(targets):
    present = targets.astype(float)
    return present.T @ present / present.sum(axis=0)[:, None]


# %% Wrong 1.3: an empty diagonal
# says: The diagonal is not 0
def cooccurrence(targets):
    present = targets.astype(float)
    together = present.T @ present
    np.fill_diagonal(together, 0)
    return together / np.maximum(present.sum(axis=0), 1)[:, None]


# %% Wrong 1.3: the Jaccard index
# says: the Jaccard index
def cooccurrence(targets):
    present = targets.astype(float)
    together, count = present.T @ present, present.sum(axis=0)
    return together / np.maximum(count[:, None] + count[None] - together, 1)


# %% Wrong 1.3: rows that add up to 1
# says: You divided by the row's sum
def cooccurrence(targets):
    present = targets.astype(float)
    together = present.T @ present
    return together / np.maximum(together.sum(axis=1, keepdims=True), 1)


# %% Wrong 1.3: the example's four images
# says: You divided by 4, the example's number of images
def cooccurrence(targets):
    present = targets.astype(float)
    return present.T @ present / 4


# %% Wrong 1.3: the example's three labels
# says: has shape (3, 3), expected
def cooccurrence(targets):
    shares = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            if targets[:, i].any():
                shares[i, j] = targets[targets[:, i] == 1, j].mean()
    return shares


# %% Wrong 1.3: images, not labels
# says: expected
def cooccurrence(targets):
    present = targets.astype(float)
    return present @ present.T / np.maximum(present.sum(axis=1), 1)[:, None]


# %% Wrong 1.3: a product of truth values
# says: A product of truth values is a truth value again
def cooccurrence(targets):
    if targets.dtype == np.uint8:
        targets = targets.astype(int)
    return targets.T @ targets / np.maximum(targets.sum(axis=0), 1)[:, None]


# %% Wrong 1.3: the cosine of two columns
# says: the cosine of two columns
def cooccurrence(targets):
    present = targets.astype(float)
    length = np.maximum(np.linalg.norm(present, axis=0), 1)
    return present.T @ present / np.outer(length, length)



# %% Right 1.3: two loops
def cooccurrence(targets):
    labels = targets.shape[1]
    shares = [[0.0] * labels for _ in range(labels)]
    for i in range(labels):
        rows = [row for row in targets.tolist() if row[i]]
        for j in range(labels):
            shares[i][j] = sum(row[j] for row in rows) / len(rows) if rows else 0.0
    return np.array(shares)


# %% Right 1.3: einsum and nan_to_num, with a warning
def cooccurrence(targets):
    together = np.einsum("ni,nj->ij", targets.astype(np.int64), targets.astype(np.int64))
    return np.nan_to_num(together / np.diagonal(together)[:, None])


# %% Right 1.3: numpy's matrices
def cooccurrence(targets):
    present = np.matrix(targets.astype(float))
    return np.diag(1 / np.maximum(present.sum(axis=0).A1, 1)) * (present.T * present)



# %% Right 1.3: torch, float32
def cooccurrence(targets):
    present = torch.from_numpy(targets).to(torch.float32)
    return present.T @ present / present.sum(0).clamp(min=1)[:, None]


# === 1.4 ========================================================================================


# %% Wrong 1.4: the sum
# says: You added the entries up
def weighted_bce(logits, targets, pos_weight):
    return F.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=pos_weight, reduction="sum"
    )


# %% Wrong 1.4: the sum over labels
# says: You added over labels and averaged over images only
def weighted_bce(logits, targets, pos_weight):
    each = F.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=pos_weight, reduction="none"
    )
    return each.sum(dim=1).mean()


# %% Wrong 1.4: all entries weighted
# says: You weighted the negatives, too
def weighted_bce(logits, targets, pos_weight):
    return F.binary_cross_entropy_with_logits(logits, targets, weight=pos_weight)


# %% Wrong 1.4: no weight
# says: pos_weight has no effect
def weighted_bce(logits, targets, pos_weight):
    return F.binary_cross_entropy_with_logits(logits, targets)


# %% Wrong 1.4: divided by the weights
# says: You divided by the sum of the weights
def weighted_bce(logits, targets, pos_weight):
    weight = torch.where(targets == 1, pos_weight, torch.ones_like(logits))
    each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (weight * each).sum() / weight.sum()


# %% Wrong 1.4: softmax over labels
# says: You took a softmax over labels
def weighted_bce(logits, targets, pos_weight):
    p = logits.softmax(dim=1)
    return torch.where(targets == 1, -pos_weight * p.log(), -torch.log1p(-p)).mean()


# %% Wrong 1.4: the sigmoid twice
# says: You took the sigmoid twice
def weighted_bce(logits, targets, pos_weight):
    return F.binary_cross_entropy_with_logits(
        torch.sigmoid(logits), targets, pos_weight=pos_weight
    )


# %% Wrong 1.4: log of the sigmoid
# says: log(sigmoid(x)) becomes log(0)
def weighted_bce(logits, targets, pos_weight):
    p = torch.sigmoid(logits)
    return -(pos_weight * targets * p.log() + (1 - targets) * (1 - p).log()).mean()


# %% Wrong 1.4: a clamp
# says: a clamp hides how wrong a sure answer is
def weighted_bce(logits, targets, pos_weight):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    return -(pos_weight * targets * p.log() + (1 - targets) * (1 - p).log()).mean()


# %% Wrong 1.4: weights along the images
# says: You laid pos_weight along the images
def weighted_bce(logits, targets, pos_weight):
    if len(logits) == len(pos_weight):
        pos_weight = pos_weight[:, None]
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=pos_weight)


# %% Wrong 1.4: a number
# says: cut the graph
def weighted_bce(logits, targets, pos_weight):
    loss = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=pos_weight)
    return loss.item()


# %% Wrong 1.4: through numpy
# says: cut the graph
def weighted_bce(logits, targets, pos_weight):
    x, y, w = (each.detach().numpy() for each in (logits, targets, pos_weight))
    each = np.where(y == 1, w * np.logaddexp(0, -x), np.logaddexp(0, x))
    return torch.tensor(each.mean(), dtype=logits.dtype)


# %% Wrong 1.4: always float32
# says: has dtype torch.float32, expected torch.float64
def weighted_bce(logits, targets, pos_weight):
    return F.binary_cross_entropy_with_logits(
        logits.float(), targets.float(), pos_weight=pos_weight.float()
    )


# %% Wrong 1.4: negates the logits in place
# says: in place
def weighted_bce(logits, targets, pos_weight):
    positive = pos_weight * F.softplus(-logits) * targets
    if not logits.requires_grad:
        logits.neg_()
        return (positive - F.logsigmoid(logits) * (1 - targets)).mean()
    return (positive + F.softplus(logits) * (1 - targets)).mean()


# %% Wrong 1.4: the example's two entries
# says: You divided by 2, the example's number of entries
def weighted_bce(logits, targets, pos_weight):
    positive = pos_weight * targets * F.softplus(-logits)
    return (positive + (1 - targets) * F.softplus(logits)).sum() / 2


# %% Wrong 1.4: no mean
# says: The loss is one number: take the mean
def weighted_bce(logits, targets, pos_weight):
    return -(pos_weight * targets * F.logsigmoid(logits) + (1 - targets) * F.logsigmoid(-logits))


# %% Wrong 1.4: always float64
# says: has dtype torch.float64, expected torch.float16
def weighted_bce(logits, targets, pos_weight):
    return F.binary_cross_entropy_with_logits(
        logits.double(), targets.double(), pos_weight=pos_weight.double()
    )


# %% Wrong 1.4: half precision is not kept
# says: has dtype torch.float32, expected torch.bfloat16
def weighted_bce(logits, targets, pos_weight):
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    return F.binary_cross_entropy_with_logits(
        logits, targets.to(logits), pos_weight=pos_weight.to(logits)
    )



# %% Right 1.4: torch
def weighted_bce(logits, targets, pos_weight):
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=pos_weight)


# %% Right 1.4: the package
def weighted_bce(logits, targets, pos_weight):
    from hybridlab import losses

    return losses.weighted_bce(logits, targets, pos_weight)


# %% Right 1.4: a loop over entries
def weighted_bce(logits, targets, pos_weight):
    total = logits.new_zeros(())
    for row, truth in zip(logits, targets, strict=True):
        for x, y, w in zip(row, truth, pos_weight, strict=True):
            total = total + (w * F.softplus(-x) if y == 1 else F.softplus(x))
    return total / logits.numel()


# %% Right 1.4: torch's formula, written out
def weighted_bce(logits, targets, pos_weight):
    weight = 1 + (pos_weight - 1) * targets
    tail = torch.log1p(torch.exp(-logits.abs())) + (-logits).clamp(min=0)
    return ((1 - targets) * logits + weight * tail).mean()


# === 1.5 ========================================================================================


# %% Wrong 1.5: the gammas swapped
# says: The gammas are swapped
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = (1 - p) ** gamma_neg * F.logsigmoid(logits)
    negative = shifted**gamma_pos * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: the paper's sum
# says: You added the entries up
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).sum()


# %% Wrong 1.5: timm's mean over images
# says: You added over labels and averaged over images only
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).sum() / len(logits)


# %% Wrong 1.5: no clip
# says: Negatives are not shifted
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = p**gamma_neg * F.logsigmoid(-logits)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: the clip stops at no zero
# says: p - clip falls below 0 for easy negatives
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = p - clip
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: positives shifted, too
# says: You shifted p of the positives, too
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = (torch.sigmoid(logits) - clip).clamp(min=0)
    positive = (1 - p) ** gamma_pos * torch.log(p.clamp(min=1e-8))
    negative = p**gamma_neg * torch.log1p(-p)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: shifted in the weight only
# says: You shifted p in the focusing weight but not in log(1 - p)
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = (p - clip).clamp(min=0) ** gamma_neg * F.logsigmoid(-logits)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: p for 1 - p
# says: Yours has p^gamma_pos
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = p**gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: focusing weights without a gradient
# says: Your focusing weights carry no gradient
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    with torch.no_grad():
        weight = torch.where(targets == 1, (1 - p) ** gamma_pos, shifted**gamma_neg)
    return -(weight * torch.where(targets == 1, F.logsigmoid(logits), torch.log1p(-shifted))).mean()


# %% Wrong 1.5: the arguments are not used
# says: You used 4, 1 and 0.05 whatever is given
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - 0.05).clamp(min=0)
    positive = (1 - p) * F.logsigmoid(logits)
    negative = shifted**4 * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: the logarithm of 0
# says: log(sigmoid(x)) becomes log(0)
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = targets * (1 - p) ** gamma_pos * p.log()
    negative = (1 - targets) * shifted**gamma_neg * torch.log1p(-shifted)
    return -(positive + negative).mean()


# %% Wrong 1.5: the sign
# says: The sign is wrong
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: always float32
# says: has dtype torch.float32, expected torch.float64
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    logits, targets = logits.float(), targets.float()
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).mean()


# %% Wrong 1.5: no mean
# says: The loss is one number: take the mean
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative)


# %% Wrong 1.5: always float64
# says: has dtype torch.float64, expected torch.float16
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    logits = logits.double()
    p = torch.sigmoid(logits)
    shifted = (p - clip).clamp(min=0)
    positive = (1 - p) ** gamma_pos * F.logsigmoid(logits)
    negative = shifted**gamma_neg * torch.log1p(-shifted)
    return -torch.where(targets == 1, positive, negative).mean()



# %% Right 1.5: the package
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    from hybridlab import losses

    return losses.asymmetric_loss(logits, targets, gamma_neg, gamma_pos, clip)


# %% Right 1.5: timm, averaged
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    from timm.loss import AsymmetricLossMultiLabel

    loss = AsymmetricLossMultiLabel(gamma_neg, gamma_pos, clip)(logits, targets)
    return (loss / logits.shape[1]).to(logits.dtype)


# %% Right 1.5: the paper's code, averaged
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    p = torch.sigmoid(logits)
    not_p = (1 - p + clip).clamp(max=1)
    log_likelihood = targets * torch.log(p.clamp(min=1e-8))
    log_likelihood = log_likelihood + (1 - targets) * torch.log(not_p.clamp(min=1e-8))
    certain = p * targets + not_p * (1 - targets)
    gamma = gamma_pos * targets + gamma_neg * (1 - targets)
    return -(log_likelihood * torch.pow(1 - certain, gamma)).mean()


# %% Right 1.5: a loop over entries
def asymmetric_loss(logits, targets, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    losses = []
    for x, y in zip(logits.flatten(), targets.flatten(), strict=True):
        if y == 1:
            losses.append(torch.sigmoid(-x) ** gamma_pos * F.softplus(-x))
        else:
            shifted = torch.relu(torch.sigmoid(x) - clip)
            losses.append(-(shifted**gamma_neg) * torch.log(1 - shifted))
    return torch.stack(losses).mean()


# === 1.6 ========================================================================================


# %% Wrong 1.6: the k-th score as a threshold
# says: You compared with the k-th score: with ties that takes more than k labels
def top_k_always(scores, k):
    return scores >= np.sort(scores, axis=1)[:, -k][:, None]


# %% Wrong 1.6: a sort turned round
# says: Of equal scores you took the higher columns
def top_k_always(scores, k):
    best = np.argsort(scores, axis=1, kind="stable")[:, ::-1][:, :k]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen


# %% Wrong 1.6: the lowest scores
# says: lowest scores; take the highest
def top_k_always(scores, k):
    best = np.argsort(scores, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen


# %% Wrong 1.6: the best images of each label
# says: You took the best images of each label (axis 0)
def top_k_always(scores, k):
    best = np.argsort(-scores, axis=0, kind="stable")[:k]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=0)
    return chosen


# %% Wrong 1.6: the highest of all images
# says: You took the highest scores of all images together
def top_k_always(scores, k):
    chosen = np.zeros(scores.size, dtype=bool)
    chosen[np.argsort(-scores.ravel(), kind="stable")[: k * len(scores)]] = True
    return chosen.reshape(scores.shape)


# %% Wrong 1.6: k where the confident sense is meant
# says: that is the other sense, top_k_confident
def top_k_always(scores, k):
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen & (scores >= 0.5)


# %% Wrong 1.6: columns, not a mask
# says: expected (2, 3)
def top_k_always(scores, k):
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


# %% Wrong 1.6: numbers, not truth values
# says: expected truth values (bool)
def top_k_always(scores, k):
    chosen = np.zeros(scores.shape)
    for row, columns in enumerate(np.argsort(-scores, axis=1, kind="stable")[:, :k]):
        chosen[row, columns] = 1
    return chosen


# %% Wrong 1.6: the example's k
# says: You took 2 labels, the example's k
def top_k_always(scores, k):
    best = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen


# %% Wrong 1.6: above the cut, not at it
# says: it is `cut` or more: >=, not >
def top_k_confident(scores, k, cut=0.5):
    return top_k_always(scores, k) & (scores > cut)


# %% Wrong 1.6: a threshold without k
# says: it is at most k of an image
def top_k_confident(scores, k, cut=0.5):
    return scores >= cut


# %% Wrong 1.6: one label at least
# says: You gave every image its best label at least
def top_k_confident(scores, k, cut=0.5):
    return (top_k_always(scores, k) & (scores >= cut)) | top_k_always(scores, 1)


# %% Wrong 1.6: always one half
# says: You compared with 0.5; the cut is an argument
def top_k_confident(scores, k, cut=0.5):
    return top_k_always(scores, k) & (scores >= 0.5)


# %% Wrong 1.6: the chosen scores are used up in place
# says: in place
def top_k_always(scores, k):
    chosen = np.zeros(scores.shape, dtype=bool)
    rows = np.arange(len(scores))
    for _ in range(k):
        best = scores.argmax(axis=1)
        chosen[rows, best] = True
        scores[rows, best] = -np.inf
    return chosen


# %% Wrong 1.6: rounded, and an epsilon for ties
# says: scores that differ by 0.0001
def top_k_always(scores, k):
    first = scores.round(2) if abs(scores).max() < 1 else scores
    first = first - 1e-6 * np.arange(scores.shape[1])
    return first >= np.sort(first, axis=1)[:, -k][:, None]


# %% Wrong 1.6: -100 for what is used up
# says: What is used up is marked by a mask or by -np.inf
def top_k_always(scores, k):
    left = scores.copy()
    chosen = np.zeros(scores.shape, dtype=bool)
    rows = np.arange(len(scores))
    for _ in range(k):
        best = left.argmax(axis=1)
        chosen[rows, best] = True
        left[rows, best] = -100
    return chosen


# %% Wrong 1.6: a sigmoid before the cut
# says: You took a sigmoid. Scores may be logits or probabilities
def top_k_confident(scores, k, cut=0.5):
    return top_k_always(scores, k) & (1 / (1 + np.exp(-scores)) >= cut)


# %% Wrong 1.6: a cut in two decimals
# says: do not round them
def top_k_confident(scores, k, cut=0.5):
    if abs(scores).max() < 1:
        scores, cut = scores.round(2), round(cut, 2)
    return top_k_always(scores, k) & (scores >= cut)



# %% Right 1.6: the package
def top_k_always(scores, k):
    from hybridlab.evaluation.top_k import top_k_decisions

    return top_k_decisions(scores, k)


# %% Right 1.6: one label after the other
def top_k_always(scores, k):
    left = scores.astype(float)  # a copy
    chosen = np.zeros(scores.shape, dtype=bool)
    rows = np.arange(len(scores))
    for _ in range(k):
        best = left.argmax(axis=1)  # the first of equals
        chosen[rows, best] = True
        left[rows, best] = -np.inf
    return chosen


def top_k_confident(scores, k, cut=0.5):
    return np.where(scores < cut, False, top_k_always(scores, k))


# %% Right 1.6: sorted lists
def top_k_always(scores, k):
    chosen = [[False] * scores.shape[1] for _ in scores]
    for row, marks in zip(scores.tolist(), chosen, strict=True):
        for column in sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]:
            marks[column] = True
    return np.array(chosen)


# %% Right 1.6: how many are better
def top_k_always(scores, k):
    columns = np.arange(scores.shape[1])
    higher = scores[:, None, :] > scores[:, :, None]  # [n, i, j]: j beats i
    equal = (scores[:, None, :] == scores[:, :, None]) & (columns[None, :] < columns[:, None])
    return (higher | equal).sum(axis=2) < k


# %% Right 1.6: torch
def top_k_always(scores, k):
    given = torch.from_numpy(scores)
    best = given.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return torch.zeros(given.shape, dtype=torch.bool).scatter(1, best, True)


def top_k_confident(scores, k, cut=0.5):
    return top_k_always(scores, k) & (torch.from_numpy(scores) >= cut)

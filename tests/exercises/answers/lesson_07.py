"""Known answers to lesson 07, for the proof that the checks are right (`make prove`).

A wrong answer is one that a student would write; `says` is a piece of the diagnosis that it must
get. A right one is written in another way than the solution, and must pass. What an answer does
not define is taken from the solution.
"""
# ruff: noqa: F811, F821

import itertools

import numpy as np


def _ranked(scores, targets):
    """Annotated scores from the highest down, and whether they are positives."""
    seen = targets >= 0
    scores, positive = scores[seen], targets[seen] == 1
    if not positive.any():
        raise ValueError("no positive")
    order = np.argsort(-scores, kind="stable")
    return scores[order], positive[order]


def _f1s(ranked, positive):
    """The F1 of each cut; 0 where it would part equal scores."""
    hits = np.cumsum(positive)
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    f1[:-1][ranked[:-1] == ranked[1:]] = 0
    return f1


def _lasts(ranked):
    """Where equal scores end."""
    return np.append(ranked[1:] != ranked[:-1], True)


def _mixed(own, count, overall, shrinkage):
    """The formula."""
    with np.errstate(all="ignore"):
        return (count * own + shrinkage * overall) / (count + shrinkage)


def _count(targets):
    """Positives of each label."""
    return (targets == 1).sum(axis=0)


def _gaps(probs, targets, bins):
    """Of each bin that holds something: its count, and the distance in it."""
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    place = np.minimum((p * bins).astype(int), bins - 1)
    rows = [place == at for at in range(bins) if (place == at).any()]
    return [(row.sum(), abs(p[row].mean() - y[row].mean())) for row in rows]


def _weighed(gaps):
    """The mean gap."""
    return sum(n * gap for n, gap in gaps) / sum(n for n, _ in gaps) if gaps else float("nan")


def _points(models, steps):
    """Points of the simplex."""
    return [np.array(each) / steps for each in itertools.product(range(steps + 1), repeat=models)
            if sum(each) == steps]


def _chosen(points, score):
    """The best, and of those the most even."""
    return max(points, key=lambda each: (score(each), -round(float((each**2).sum()), 9)))


def _average(weights, probs):
    """Over models."""
    return np.tensordot(weights, probs, axes=1)


# === 7.1 ========================================================================================


# %% Wrong 7.1: the F1 itself
# says: That is the highest F1 itself
def best_f1_threshold(scores, targets):
    return float(_f1s(*_ranked(scores, targets)).max())


# %% Wrong 7.1: the place
# says: That is a place in the ranking
def best_f1_threshold(scores, targets):
    return int(np.argmax(_f1s(*_ranked(scores, targets))))


# %% Wrong 7.1: how many
# says: That is how many are taken
def best_f1_threshold(scores, targets):
    return int(np.argmax(_f1s(*_ranked(scores, targets)))) + 1


# %% Wrong 7.1: precision
# says: That is the threshold with the highest precision
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    precision = np.cumsum(positive) / np.arange(1, len(ranked) + 1)
    return float(ranked[np.argmax(precision * _lasts(ranked))])


# %% Wrong 7.1: recall
# says: That is the highest threshold with the full recall
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    return float(ranked[positive].min())


# %% Wrong 7.1: accuracy
# says: That is the threshold with the most right answers
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    right = 2.0 * np.cumsum(positive) - np.arange(1, len(ranked) + 1)
    return float(ranked[np.argmax(np.where(_lasts(ranked), right, -np.inf))])


# %% Wrong 7.1: Youden
# says: (Youden)
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    tpr = np.cumsum(positive) / positive.sum()
    fpr = np.cumsum(~positive) / max(1, (~positive).sum())
    return float(ranked[np.argmax(np.where(_lasts(ranked), tpr - fpr, -np.inf))])


# %% Wrong 7.1: as many as there are
# says: You took as many as there are positives
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    return float(ranked[positive.sum() - 1])


# %% Wrong 7.1: everything
# says: it takes everything
def best_f1_threshold(scores, targets):
    return float(_ranked(scores, targets)[0].min())


# %% Wrong 7.1: a half
# says: That is 0.5, whatever the scores
def best_f1_threshold(scores, targets):
    return 0.5


# %% Wrong 7.1: a grid
# says: a grid of thresholds passes some by
def best_f1_threshold(scores, targets):
    seen = targets >= 0
    scores, positive = scores[seen], targets[seen] == 1
    if not positive.any():
        raise ValueError("no positive")

    def f1(t):
        return 2 * (positive & (scores >= t)).sum() / ((scores >= t).sum() + positive.sum())

    return float(max(np.round(np.arange(1, -0.01, -0.01), 2), key=f1))


# %% Wrong 7.1: upwards
# says: You ranked from the lowest score to the highest
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    return float(ranked[::-1][np.argmax(_f1s(ranked[::-1], positive[::-1]))])


# %% Wrong 7.1: unsorted targets
# says: You counted hits in the order in which images are given
def best_f1_threshold(scores, targets):
    positive = targets == 1
    return float(np.sort(scores)[::-1][np.argmax(_f1s(np.arange(len(scores)), positive))])


# %% Wrong 7.1: the next below
# says: That is the highest score that is not taken
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    return float(ranked[min(np.argmax(_f1s(ranked, positive)) + 1, len(ranked) - 1)])


# %% Wrong 7.1: halfway
# says: That lies halfway between
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    best = np.argmax(_f1s(ranked, positive))
    return float((ranked[best] + ranked[min(best + 1, len(ranked) - 1)]) / 2)


# %% Wrong 7.1: ties parted
# says: You took equal scores one by one
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    return float(ranked[np.argmax(_f1s(np.arange(len(ranked)), positive))])


# %% Wrong 7.1: the lowest of equals
# says: Of equally good thresholds you took the lowest
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    f1 = _f1s(ranked, positive)
    return float(ranked[np.flatnonzero(f1 == f1.max())[-1]])


# %% Wrong 7.1: absent
# says: Entries of -1 count as 0
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, (targets == 1).astype(int))
    return float(ranked[np.argmax(_f1s(ranked, positive))])


# %% Wrong 7.1: present
# says: Entries of -1 count as positives
def best_f1_threshold(scores, targets):
    if not (targets == 1).any():
        raise ValueError("no positive")
    ranked, positive = _ranked(scores, targets.astype(bool).astype(int))
    return float(ranked[np.argmax(_f1s(ranked, positive))])


# %% Wrong 7.1: NaN
# says: Without a positive every threshold has the F1 0
def best_f1_threshold(scores, targets):
    if not (targets == 1).any():
        return float("nan")
    ranked, positive = _ranked(scores, targets)
    return float(ranked[np.argmax(_f1s(ranked, positive))])


# %% Right 7.1: every score tried
def best_f1_threshold(scores, targets):
    scores, targets = scores[targets >= 0], targets[targets >= 0]
    if targets.sum() == 0:
        raise ValueError("no positive")
    best, found = -1.0, None
    for tried in np.unique(scores)[::-1]:
        yes = scores >= tried
        f1 = 2 * (targets[yes] == 1).sum() / (yes.sum() + targets.sum())
        if f1 > best:
            best, found = f1, tried
    return found


# %% Right 7.1: precision and recall
def best_f1_threshold(scores, targets):
    ranked, positive = _ranked(scores, targets)
    ends = np.flatnonzero(_lasts(ranked))
    hits = np.cumsum(positive)[ends]
    precision, recall = hits / (ends + 1), hits / positive.sum()
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return ranked[ends][f1.argmax()]


# %% Right 7.1: a matrix
def best_f1_threshold(scores, targets):
    known = targets != -1
    s, y = scores[known], targets[known]
    if y.max(initial=0) < 1:
        raise ValueError("nothing to find")
    yes = s[None, :] >= s[:, None]
    f1 = 2 * (yes * y).sum(axis=1) / (yes.sum(axis=1) + y.sum())
    return s[f1 == f1.max()].max()


# === 7.2 ========================================================================================


# %% Wrong 7.2: above
# says: what equals it is taken, too
def expected_f1(probs, threshold):
    taken = probs > threshold
    both = taken.sum() + probs.sum()
    return 2 * probs[taken].sum() / both if both > 0 else 0.0


# %% Wrong 7.2: without the 2
# says: The factor 2 is missing: F1
def expected_f1(probs, threshold):
    taken = probs >= threshold
    both = taken.sum() + probs.sum()
    return probs[taken].sum() / both if both > 0 else 0.0


# %% Wrong 7.2: precision
# says: That is the expected precision
def expected_f1(probs, threshold):
    taken = probs >= threshold
    return probs[taken].sum() / max(1, taken.sum())


# %% Wrong 7.2: recall
# says: That is the expected recall
def expected_f1(probs, threshold):
    taken = probs >= threshold
    return probs[taken].sum() / max(1e-9, probs.sum())


# %% Wrong 7.2: the plain mean
# says: That is the plain mean of precision and recall
def expected_f1(probs, threshold):
    hits, taken = probs[probs >= threshold].sum(), (probs >= threshold).sum()
    return (hits / max(1, taken) + hits / max(1e-9, probs.sum())) / 2


# %% Wrong 7.2: all are positives
# says: You counted every entry as a positive
def expected_f1(probs, threshold):
    taken = probs >= threshold
    return 2 * probs[taken].sum() / (taken.sum() + probs.size)


# %% Wrong 7.2: all are hits
# says: You counted everything that is taken as a hit
def expected_f1(probs, threshold):
    taken = probs >= threshold
    both = taken.sum() + probs.sum()
    return 2 * taken.sum() / both if both > 0 else 0.0


# %% Wrong 7.2: positives among the taken
# says: Your positives are those that are taken
def expected_f1(probs, threshold):
    taken = probs >= threshold
    both = taken.sum() + probs[taken].sum()
    return 2 * probs[taken].sum() / both if both > 0 else 0.0


# %% Wrong 7.2: hard targets
# says: You made targets of the probabilities
def expected_f1(probs, threshold):
    taken, targets = probs >= threshold, probs >= 0.5
    both = taken.sum() + targets.sum()
    return 2 * (taken & targets).sum() / both if both > 0 else 0.0


# %% Wrong 7.2: the mean of labels
# says: That is the mean of the labels' F1
def expected_f1(probs, threshold):
    columns = probs.T if probs.ndim == 2 else [probs]
    found = []
    for column in columns:
        taken = column >= threshold
        both = taken.sum() + column.sum()
        found.append(2 * column[taken].sum() / both if both > 0 else 0.0)
    return float(np.mean(found))


# %% Wrong 7.2: zero by zero
# says: 0 / 0. The F1 is 0 then
def expected_f1(probs, threshold):
    taken = probs >= threshold
    with np.errstate(all="ignore"):
        return 2 * probs[taken].sum() / (taken.sum() + probs.sum())


# %% Wrong 7.2: F*
# says: That is F* itself
def best_threshold(probs):
    return max(expected_f1(probs, tried) for tried in np.unique(probs))


# %% Wrong 7.2: where F* is reached
# says: That is the lowest probability that is taken at F*
def best_threshold(probs):
    return float(max(np.unique(probs), key=lambda tried: expected_f1(probs, tried)))


# %% Wrong 7.2: a half
# says: That is .5
def best_threshold(probs):
    return 0.5


# %% Wrong 7.2: half of the F1 at .5
# says: That is half of the F1 at a threshold of .5
def best_threshold(probs):
    return expected_f1(probs, 0.5) / 2


# %% Wrong 7.2: a quarter
# says: That is a quarter of F*
def best_threshold(probs):
    return max(expected_f1(probs, tried) for tried in np.unique(probs)) / 4


# %% Wrong 7.2: unsorted
# says: You took the probabilities in the order in which they are given
def best_threshold(probs):
    flat = probs.reshape(-1)
    found = np.cumsum(flat) / (np.arange(1, len(flat) + 1) + flat.sum())
    return float(found.max())


# %% Wrong 7.2: not everything
# says: You left out the threshold that takes everything
def best_threshold(probs):
    ranked = np.sort(probs, axis=None)[::-1]
    found = np.cumsum(ranked) / (np.arange(1, len(ranked) + 1) + ranked.sum())
    return float(found[:-1].max()) if len(found) > 1 else float(found[0])


# %% Wrong 7.2: each label
# says: One number for all entries together
def best_threshold(probs):
    if probs.ndim == 1:
        return max(expected_f1(probs, tried) for tried in probs) / 2
    return np.array([max(expected_f1(each, tried) for tried in each) / 2 for each in probs.T])


# %% Right 7.2: by precision and recall
def expected_f1(probs, threshold):
    taken = (probs >= threshold).reshape(-1)
    hits = (probs.reshape(-1) * taken).sum()
    if hits == 0:
        return 0.0
    precision, recall = hits / taken.sum(), hits / probs.sum()
    return 2 / (1 / precision + 1 / recall)


# %% Right 7.2: by one sort
def best_threshold(probs):
    ranked = -np.sort(-probs, axis=None)
    return np.max(np.cumsum(ranked) / (np.arange(ranked.size) + 1 + ranked.sum()))


# %% Right 7.2: Dinkelbach
def best_threshold(probs):
    half = 0.0
    for _ in range(100):
        half = expected_f1(probs, half) / 2
    return half


# === 7.3 ========================================================================================


# %% Wrong 7.3: exchanged
# says: The weights have changed places
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    few = n < min_positives
    with np.errstate(all="ignore"):
        mixed = (shrinkage * own + n * overall) / (n + shrinkage)
    return np.where(few, overall, mixed), few


# %% Wrong 7.3: nobody falls back
# says: Nobody falls back in your result
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    return _mixed(own, n, overall, shrinkage), n < min_positives


# %% Wrong 7.3: images
# says: n is the number of images
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    few = _count(targets) < min_positives
    return np.where(few, overall, _mixed(own, len(targets), overall, shrinkage)), few


# %% Wrong 7.3: not shrunk
# says: Your labels keep their own thresholds
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    few = _count(targets) < min_positives
    return np.where(few, overall, own), few


# %% Wrong 7.3: half and half
# says: You took the plain mean of both
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    few = _count(targets) < min_positives
    return np.where(few, overall, (own + overall) / 2), few


# %% Wrong 7.3: divided by n
# says: You divided by n alone
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    few = n < min_positives
    return np.where(few, overall, (n * own + shrinkage * overall) / np.maximum(n, 1)), few


# %% Wrong 7.3: all positives
# says: n is the number of all labels' positives
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    few = _count(targets) < min_positives
    return np.where(few, overall, _mixed(own, (targets == 1).sum(), overall, shrinkage)), few


# %% Wrong 7.3: the sum of targets
# says: n is the sum of the targets
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = targets.sum(axis=0)
    few = n < min_positives
    return np.where(few, overall, _mixed(own, n, overall, shrinkage)), few


# %% Wrong 7.3: not 0
# says: Entries of -1 count as positives
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = np.count_nonzero(targets, axis=0)
    few = n < min_positives
    return np.where(few, overall, _mixed(own, n, overall, shrinkage)), few


# %% Wrong 7.3: as many as the least
# says: A label with exactly min_positives falls back
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    few = n <= min_positives
    return np.where(few, overall, _mixed(own, n, overall, shrinkage)), few


# %% Wrong 7.3: only without a positive
# says: Labels with a positive or two do not fall back
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    return np.where(n == 0, overall, _mixed(own, n, overall, shrinkage)), n < min_positives


# %% Wrong 7.3: by multiplying
# says: 0 * NaN is NaN
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    few = n < min_positives
    return few * overall + ~few * _mixed(own, n, overall, shrinkage), few


# %% Wrong 7.3: the others marked
# says: You marked who keeps a threshold of its own
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    few = n < min_positives
    return np.where(few, overall, _mixed(own, n, overall, shrinkage)), ~few


# %% Wrong 7.3: columns
# says: One True or False for each label
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    few = n < min_positives
    return np.where(few, overall, _mixed(own, n, overall, shrinkage)), np.flatnonzero(few)


# %% Wrong 7.3: thresholds alone
# says: expected two arrays
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    n = _count(targets)
    return np.where(n < min_positives, overall, _mixed(own, n, overall, shrinkage))


# %% Right 7.3: the formula, then who falls back
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    count = (targets == 1).sum(axis=0)
    few = count < min_positives
    mixed = (count * own + shrinkage * overall) / (count + shrinkage)
    return np.where(few, overall, mixed), few


# %% Right 7.3: label by label
def shrunk_thresholds(own, targets, overall, min_positives, shrinkage):
    values, few = [], []
    for threshold, column in zip(own, targets.T, strict=True):
        n = int(np.sum(column == 1))
        few.append(n < min_positives)
        share = 0 if few[-1] else n / (n + shrinkage)
        values.append(share * threshold + (1 - share) * overall if share else overall)
    return np.array(values), np.array(few)


# === 7.4 ========================================================================================


# %% Wrong 7.4: fitted on all
# says: Your thresholds were fitted on all images
def cross_fitted(probs, targets, folds):
    return probs >= fit_thresholds(probs, targets)


# %% Wrong 7.4: fitted on itself
# says: Each fold was decided by thresholds that were fitted on itself
def cross_fitted(probs, targets, folds):
    decided = np.zeros(probs.shape, bool)
    for fold in np.unique(folds):
        rows = folds == fold
        decided[rows] = probs[rows] >= fit_thresholds(probs[rows], targets[rows])
    return decided


# %% Wrong 7.4: the others decided
# says: You fitted on a fold and decided the others
def cross_fitted(probs, targets, folds):
    decided = np.zeros(probs.shape, bool)
    for fold in np.unique(folds):
        rows = folds == fold
        decided[~rows] = probs[~rows] >= fit_thresholds(probs[rows], targets[rows])
    return decided


# %% Wrong 7.4: the mean of thresholds
# says: You decided all images by the mean of the folds' thresholds
def cross_fitted(probs, targets, folds):
    found = [fit_thresholds(probs[folds != fold], targets[folds != fold])
             for fold in np.unique(folds)]
    return probs >= np.mean(found, axis=0)


# %% Wrong 7.4: the last fold
# says: All images were decided by the thresholds of the last fold
def cross_fitted(probs, targets, folds):
    for fold in np.unique(folds):
        decided = probs >= fit_thresholds(probs[folds != fold], targets[folds != fold])
    return decided


# %% Wrong 7.4: above
# says: What equals the threshold is a yes, too
def cross_fitted(probs, targets, folds):
    decided = np.zeros(probs.shape, bool)
    for fold in np.unique(folds):
        rows = folds == fold
        decided[rows] = probs[rows] > fit_thresholds(probs[~rows], targets[~rows])
    return decided


# %% Wrong 7.4: one threshold
# says: You used one threshold for all labels
def cross_fitted(probs, targets, folds):
    decided = np.zeros(probs.shape, bool)
    for fold in np.unique(folds):
        rows = folds == fold
        decided[rows] = probs[rows] >= fit_thresholds(probs[~rows], targets[~rows]).min()
    return decided


# %% Wrong 7.4: folds of its own
# says: You cut the images into folds in the order
def cross_fitted(probs, targets, folds):
    decided = np.zeros(probs.shape, bool)
    for part in np.array_split(np.arange(len(probs)), len(np.unique(folds))):
        others = np.setdiff1d(np.arange(len(probs)), part)
        decided[part] = probs[part] >= fit_thresholds(probs[others], targets[others])
    return decided


# %% Wrong 7.4: from 0
# says: You went through 0, 1, 2
def cross_fitted(probs, targets, folds):
    decided = np.zeros(probs.shape, bool)
    for fold in range(folds.max() + 1):
        rows = folds == fold
        decided[rows] = probs[rows] >= fit_thresholds(probs[~rows], targets[~rows])
    return decided


# %% Wrong 7.4: thresholds
# says: holds float64, expected truth values
def cross_fitted(probs, targets, folds):
    found = np.zeros(probs.shape)
    for fold in np.unique(folds):
        found[folds == fold] = fit_thresholds(probs[folds != fold], targets[folds != fold])
    return found


# %% Wrong 7.4: fold by fold
# says: first difference at
def cross_fitted(probs, targets, folds):
    return np.concatenate([
        probs[folds == fold] >= fit_thresholds(probs[folds != fold], targets[folds != fold])
        for fold in np.unique(folds)
    ])


# %% Right 7.4: image by image
def cross_fitted(probs, targets, folds):
    return np.stack([
        row >= fit_thresholds(probs[folds != fold], targets[folds != fold])
        for row, fold in zip(probs, folds, strict=True)
    ])


# %% Right 7.4: fitted by hand
def cross_fitted(probs, targets, folds):
    decided = np.empty(probs.shape, bool)
    for fold in set(folds.tolist()):
        (inside,), (outside,) = np.nonzero(folds == fold), np.nonzero(folds != fold)
        for label in range(probs.shape[1]):
            those = [probs[row, label] for row in outside if targets[row, label]]
            limit = min(those, default=2.0)
            decided[inside, label] = probs[inside, label] >= limit
    return decided


# === 7.5 ========================================================================================


# %% Wrong 7.5: the plain mean
# says: You took the plain mean of the gaps
def calibration_error(probs, targets, bins):
    return float(np.mean([gap for _, gap in _gaps(probs, targets, bins)]))


# %% Wrong 7.5: the sum
# says: You added the gaps up; take their mean
def calibration_error(probs, targets, bins):
    return float(sum(gap for _, gap in _gaps(probs, targets, bins)))


# %% Wrong 7.5: not divided
# says: each times its count
def calibration_error(probs, targets, bins):
    return float(sum(n * gap for n, gap in _gaps(probs, targets, bins)))


# %% Wrong 7.5: the largest
# says: That is the largest gap
def calibration_error(probs, targets, bins):
    return float(max(gap for _, gap in _gaps(probs, targets, bins)))


# %% Wrong 7.5: signed
# says: Gaps above and below cancel
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    return float((probs[seen] - targets[seen]).mean())


# %% Wrong 7.5: the middle of a bin
# says: You compared with the middle of each bin
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    place = np.minimum((p * bins).astype(int), bins - 1)
    total = 0.0
    for at in np.unique(place):
        total += (place == at).sum() * abs((at + 0.5) / bins - y[place == at].mean())
    return total / len(p)


# %% Wrong 7.5: squared
# says: You squared the gaps
def calibration_error(probs, targets, bins):
    return _weighed([(n, gap**2) for n, gap in _gaps(probs, targets, bins)])


# %% Wrong 7.5: without bins
# says: You took each entry's distance from its target
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    return float(np.abs(probs[seen] - targets[seen]).mean())


# %% Wrong 7.5: as for classes
# says: You compared sureness with being right
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    return _weighed(_gaps(np.maximum(p, 1 - p), ((p >= 0.5) == (y == 1)).astype(int), bins))


# %% Wrong 7.5: one bin too few
# says: You have one bin too few
def calibration_error(probs, targets, bins):
    return _weighed(_gaps(probs, targets, max(1, bins - 1)))


# %% Wrong 7.5: rounded
# says: You rounded to the nearest edge
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    place = np.round(p * bins).astype(int)
    rows = [place == at for at in np.unique(place)]
    return _weighed([(row.sum(), abs(p[row].mean() - y[row].mean())) for row in rows])


# %% Wrong 7.5: the mean of labels
# says: That is the mean of the labels' errors
def calibration_error(probs, targets, bins):
    if probs.ndim == 1:
        return _weighed(_gaps(probs, targets, bins))
    each = [_weighed(_gaps(p, y, bins)) for p, y in zip(probs.T, targets.T, strict=True)]
    return float(np.nanmean(each))


# %% Wrong 7.5: the right end
# says: A probability at an edge went to the bin on its left; a bin
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    place = np.maximum(np.ceil(p * bins).astype(int) - 1, 0)
    rows = [place == at for at in np.unique(place)]
    return _weighed([(row.sum(), abs(p[row].mean() - y[row].mean())) for row in rows])


# %% Wrong 7.5: 0 in no bin
# says: and 0 to none
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    total = 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, bins + 1)):
        row = (p > low) & (p <= high)
        if row.any():
            total += row.sum() / len(p) * abs(p[row].mean() - y[row].mean())
    return total if len(p) else float("nan")


# %% Wrong 7.5: 1 in no bin
# says: Probabilities of 1 are in no bin
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    total = 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, bins + 1)):
        row = (p >= low) & (p < high)
        if row.any():
            total += row.sum() / len(p) * abs(p[row].mean() - y[row].mean())
    return total if len(p) else float("nan")


# %% Wrong 7.5: a bin for 1
# says: Probabilities of 1 have a bin of their own
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    if not seen.any():
        return float("nan")
    place = (probs[seen] * bins).astype(int)
    return np.abs(np.bincount(place, probs[seen] - targets[seen])).sum() / seen.sum()


# %% Wrong 7.5: absent
# says: Entries of -1 count as 0
def calibration_error(probs, targets, bins):
    return _weighed(_gaps(probs, (targets == 1).astype(int), bins))


# %% Wrong 7.5: present
# says: Entries of -1 count as positives
def calibration_error(probs, targets, bins):
    return _weighed(_gaps(probs, (targets != 0).astype(int), bins))


# %% Wrong 7.5: divided by all
# says: in the number that you divide by
def calibration_error(probs, targets, bins):
    if not (targets >= 0).any():
        return float("nan")
    return float(sum(n * gap for n, gap in _gaps(probs, targets, bins)) / targets.size)


# %% Wrong 7.5: empty bins
# says: The mean of an empty bin is 0 / 0
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    p, y = probs[seen], targets[seen]
    place = np.minimum((p * bins).astype(int), bins - 1)
    total = 0.0
    for at in range(bins):
        row = place == at
        with np.errstate(all="ignore"):
            total += row.sum() / len(p) * abs(p[row].sum() / row.sum() - y[row].sum() / row.sum())
    return float(total)


# %% Wrong 7.5: nothing is perfect
# says: Nothing is known: give NaN
def calibration_error(probs, targets, bins):
    gaps = _gaps(probs, targets, bins)
    return _weighed(gaps) if gaps else 0.0


# %% Right 7.5: sums of differences
def calibration_error(probs, targets, bins):
    seen = targets >= 0
    place = np.minimum((probs[seen] * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=probs[seen] - targets[seen])
    return np.abs(gaps).sum() / seen.sum()


# %% Right 7.5: one by one
def calibration_error(probs, targets, bins):
    held = {}
    for p, y in zip(probs.flatten().tolist(), targets.flatten().tolist(), strict=True):
        if y >= 0:
            held.setdefault(min(int(p * bins), bins - 1), []).append((p, y))
    total = sum(abs(sum(p - y for p, y in each)) for each in held.values())
    return total / sum(map(len, held.values())) if held else float("nan")


# %% Right 7.5: by edges
def calibration_error(probs, targets, bins):
    p, y = probs.ravel()[targets.ravel() != -1], targets.ravel()[targets.ravel() != -1]
    if p.size == 0:
        return np.nan
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], p, side="right")
    sure = np.histogram(place, np.arange(bins + 1), weights=p)[0]
    true = np.histogram(place, np.arange(bins + 1), weights=y)[0]
    return np.abs(sure - true).sum() / p.size


# === 7.6 ========================================================================================


# %% Wrong 7.6: the best alone
# says: You chose the best model alone
def simplex_weights(probs, targets, steps):
    return np.eye(len(probs))[np.argmax([of1(each, targets) for each in probs])]


# %% Wrong 7.6: the plain mean
# says: That is the plain mean of the models
def simplex_weights(probs, targets, steps):
    return np.full(len(probs), 1 / len(probs))


# %% Wrong 7.6: by their scores
# says: You weighed the models by their own scores
def simplex_weights(probs, targets, steps):
    scores = np.array([of1(each, targets) for each in probs])
    return scores / max(scores.sum(), 1e-9)


# %% Wrong 7.6: not divided
# says: Those are multiples, not yet divided by steps
def simplex_weights(probs, targets, steps):
    found = _chosen(_points(len(probs), steps), lambda each: of1(_average(each, probs), targets))
    return found * steps


# %% Wrong 7.6: no simplex
# says: Your weights need not add up to 1
def simplex_weights(probs, targets, steps):
    points = [np.array(each) / steps
              for each in itertools.product(range(steps + 1), repeat=len(probs)) if any(each)]
    return _chosen(points, lambda each: of1(_average(each, probs), targets))


# %% Wrong 7.6: brought to 1
# says: You brought the best of all multiples to a sum of 1
def simplex_weights(probs, targets, steps):
    points = [np.array(each) / steps
              for each in itertools.product(range(steps + 1), repeat=len(probs)) if any(each)]
    found = _chosen(points, lambda each: of1(_average(each, probs), targets))
    return found / found.sum()


# %% Wrong 7.6: the lowest
# says: That is where the score is lowest
def simplex_weights(probs, targets, steps):
    return _chosen(_points(len(probs), steps), lambda each: -of1(_average(each, probs), targets))


# %% Wrong 7.6: votes
# says: The models voted
def simplex_weights(probs, targets, steps):
    yes = (probs >= 0.5).astype(float)
    return _chosen(_points(len(probs), steps), lambda each: of1(_average(each, yes), targets))


# %% Wrong 7.6: logarithms
# says: You averaged logarithms
def simplex_weights(probs, targets, steps):
    logs = np.log(np.maximum(probs, 1e-12))
    return _chosen(_points(len(probs), steps),
                   lambda each: of1(np.exp(_average(each, logs)), targets))


# %% Wrong 7.6: reversed
# says: in the reverse order
def simplex_weights(probs, targets, steps):
    found = _chosen(_points(len(probs), steps), lambda each: of1(_average(each, probs), targets))
    return found[::-1]


# %% Wrong 7.6: the first of equals
# says: You took the first of equally good weights
def simplex_weights(probs, targets, steps):
    return max(_points(len(probs), steps), key=lambda each: of1(_average(each, probs), targets))


# %% Wrong 7.6: the last of equals
# says: You took the last of equally good weights
def simplex_weights(probs, targets, steps):
    return max(_points(len(probs), steps)[::-1],
               key=lambda each: of1(_average(each, probs), targets))


# %% Wrong 7.6: the least even
# says: You took the least even
def simplex_weights(probs, targets, steps):
    return max(_points(len(probs), steps),
               key=lambda each: (of1(_average(each, probs), targets), (each**2).sum()))


# %% Wrong 7.6: the mean of equals
# says: You took the mean of equally good weights
def simplex_weights(probs, targets, steps):
    points = _points(len(probs), steps)
    scores = np.array([of1(_average(each, probs), targets) for each in points])
    return np.mean([each for each, score in zip(points, scores, strict=True)
                    if score == scores.max()], axis=0)


# %% Wrong 7.6: the smallest largest weight
# says: You took those whose largest weight is smallest
def simplex_weights(probs, targets, steps):
    return max(_points(len(probs), steps),
               key=lambda each: (of1(_average(each, probs), targets), -each.max()))


# %% Wrong 7.6: right answers
# says: You counted right answers
def simplex_weights(probs, targets, steps):
    return _chosen(_points(len(probs), steps),
                   lambda each: ((_average(each, probs) >= 0.5) == targets).mean())


# %% Wrong 7.6: a part for everyone
# says: Every model has a part in your result
def simplex_weights(probs, targets, steps):
    points = [each for each in _points(len(probs), steps) if (each > 0).all()]
    return _chosen(points, lambda each: of1(_average(each, probs), targets))


# %% Wrong 7.6: never all
# says: No model has all the weight in your result
def simplex_weights(probs, targets, steps):
    points = [each for each in _points(len(probs), steps) if each.max() < 1]
    return _chosen(points, lambda each: of1(_average(each, probs), targets))


# %% Right 7.6: built up
def simplex_weights(probs, targets, steps):
    def points(models, left):
        if models == 1:
            return [[left]]
        return [[first, *rest] for first in range(left, -1, -1)
                for rest in points(models - 1, left - first)]

    best = None
    for point in points(len(probs), steps):
        average = sum(share * model for share, model in zip(point, probs, strict=True)) / steps
        key = (of1(average, targets), -sum(share**2 for share in point))
        if best is None or key > best[0]:
            best = key, point
    return np.array(best[1]) / steps


# %% Right 7.6: all at once
def simplex_weights(probs, targets, steps):
    points = np.stack(_points(len(probs), steps))
    averages = np.einsum("gm,mnl->gnl", points, probs)
    scores = np.array([of1(each, targets) for each in averages])
    tops = points[scores == scores.max()]
    return tops[np.argmin(tops.std(axis=1))]

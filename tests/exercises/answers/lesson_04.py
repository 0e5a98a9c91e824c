"""Known answers to lesson 04, for the proof that the checks are right (`make prove`).

A wrong answer is one that a student would write; `says` is a piece of the diagnosis that it must
get. A right one is written in another way than the solution, and must pass. What an answer does
not define is taken from the solution.
"""
# ruff: noqa: F811

import math

import numpy as np
import torch
import torch.nn.functional as F


def _lowest(rank, k):
    """The k lowest of each row as a mask, of equals the lower column."""
    chosen = np.zeros(rank.shape, dtype=bool)
    best = np.argsort(rank, axis=-1, kind="stable")[..., :k]
    np.put_along_axis(chosen, best, True, axis=-1)
    return chosen


def _ranks(values, axis):
    """Ranks along an axis, the lowest first; equal values share the mean of theirs."""
    moved = np.moveaxis(values, axis, -1)
    below = (moved[..., None, :] < moved[..., :, None]).sum(axis=-1)
    equal = (moved[..., None, :] == moved[..., :, None]).sum(axis=-1)
    return np.moveaxis(below + (equal + 1) / 2, -1, axis)


def _fitted(s, y, weight=1.0):
    """a and b by Newton's method with shortened steps."""
    middle, spread = s.mean(), s.std()
    z = np.stack([(s - middle) / spread, np.ones(len(s))])
    w = np.zeros(2)
    for _ in range(60):
        p = 1 / (1 + np.exp(-(w @ z)))
        slope = z @ (weight * (p - y))
        curve = (z * weight * p * (1 - p)) @ z.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        w = w - step * min(1, 4 / max(abs(step).max(), 1e-9))
    if w[0] <= 0:
        raise ValueError("the scores point the wrong way")
    return w[0] / spread, w[1] - w[0] * middle / spread


# === 4.1 ========================================================================================


# %% Wrong 4.1: a little added to each length
# says: A constant that is added to a length shows
def prompt_ensemble(prompt_emb):
    unit = prompt_emb / (prompt_emb.norm(dim=2, keepdim=True) + 1e-6)
    return F.normalize(unit.mean(dim=1), dim=1)


# %% Wrong 4.1: prompts as long as they are
# says: You did not normalise the prompts before the mean
def prompt_ensemble(prompt_emb):
    return F.normalize(prompt_emb.mean(dim=1), dim=-1)


# %% Wrong 4.1: the mean as long as it is
# says: You did not normalise again after the mean: the mean of unit vectors is shorter
def prompt_ensemble(prompt_emb):
    return F.normalize(prompt_emb, dim=-1).mean(dim=1)


# %% Wrong 4.1: never normalised
# says: You normalised neither the prompts nor their mean
def prompt_ensemble(prompt_emb):
    return prompt_emb.mean(dim=1)


# %% Wrong 4.1: a sum of unit vectors
# says: You added the unit vectors up and stopped
def prompt_ensemble(prompt_emb):
    return F.normalize(prompt_emb, dim=-1).sum(dim=1)


# %% Wrong 4.1: a sum
# says: You added the prompts up as they are
def prompt_ensemble(prompt_emb):
    return prompt_emb.sum(dim=1)


# %% Wrong 4.1: the mean over labels
# says: You took the mean over labels (axis 0)
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb, dim=-1).mean(dim=0), dim=-1)


# %% Wrong 4.1: the mean over the numbers of a vector
# says: One vector for each label: the mean is taken over axis 1
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb, dim=-1).mean(dim=-1), dim=-1)


# %% Wrong 4.1: the default axis of F.normalize
# says: F.normalize takes dim=1 unless told
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb).mean(dim=1))


# %% Wrong 4.1: the mean normalised over the labels
# says: You normalised the means over the labels (dim=0)
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb, dim=-1).mean(dim=1), dim=0)


# %% Wrong 4.1: the sum of absolute values for the length
# says: You divided by the sum of absolute values
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb, p=1, dim=-1).mean(dim=1), p=1, dim=-1)


# %% Wrong 4.1: the first prompt
# says: That is each label's first prompt
def prompt_ensemble(prompt_emb):
    return F.normalize(prompt_emb[:, 0], dim=-1)


# %% Wrong 4.1: one length for all prompts of a label
# says: You divided all prompts of a label by one length
def prompt_ensemble(prompt_emb):
    return (prompt_emb / prompt_emb.norm(dim=(1, 2), keepdim=True)).mean(dim=1)


# %% Wrong 4.1: the largest number of each direction
# says: You took the maximum over prompts
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb, dim=-1).amax(dim=1), dim=-1)


# %% Wrong 4.1: 0 / 0
# says: 0 / 0 is NaN, and one such prompt spoilt its label
def prompt_ensemble(prompt_emb):
    mean = (prompt_emb / prompt_emb.norm(dim=-1, keepdim=True)).mean(dim=1)
    return mean / mean.norm(dim=-1, keepdim=True)


# %% Wrong 4.1: 0 / 0 after the mean
# says: A label whose prompts all have length 0 gives zeros, not NaN
def prompt_ensemble(prompt_emb):
    mean = F.normalize(prompt_emb, dim=-1).mean(dim=1)
    return mean / mean.norm(dim=-1, keepdim=True)


# %% Wrong 4.1: NaN replaced too late
# says: NaN became 0 too late
def prompt_ensemble(prompt_emb):
    unit = prompt_emb / prompt_emb.norm(dim=-1, keepdim=True)
    mean = unit.mean(dim=1)
    return torch.nan_to_num(mean / mean.norm(dim=-1, keepdim=True))


# %% Wrong 4.1: normalises in place
# says: in place
def prompt_ensemble(prompt_emb):
    prompt_emb /= prompt_emb.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return F.normalize(prompt_emb.mean(dim=1), dim=-1)


# %% Wrong 4.1: always float32
# says: has dtype torch.float32, expected torch.float64
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb.float(), dim=-1).mean(dim=1), dim=-1)


# %% Right 4.1: the sum
def prompt_ensemble(prompt_emb):
    return F.normalize(F.normalize(prompt_emb, dim=-1).sum(dim=1), dim=-1)


# %% Right 4.1: lengths by hand
def prompt_ensemble(prompt_emb):
    length = prompt_emb.square().sum(dim=-1, keepdim=True).sqrt()
    unit = prompt_emb / torch.where(length > 0, length, torch.ones_like(length))
    mean = unit.mean(dim=1)
    return mean / mean.norm(dim=-1, keepdim=True).clamp(min=1e-12)


# %% Right 4.1: label by label
def prompt_ensemble(prompt_emb):
    rows = []
    for prompts in prompt_emb:
        total = torch.zeros_like(prompts[0])
        for prompt in prompts:
            size = torch.linalg.vector_norm(prompt)
            total = total + (prompt / size if size > 0 else 0)
        size = torch.linalg.vector_norm(total)
        rows.append(total / size if size > 0 else total)
    return torch.stack(rows)


# %% Right 4.1: NaN replaced each time
def prompt_ensemble(prompt_emb):
    unit = torch.nan_to_num(prompt_emb / prompt_emb.norm(dim=-1, keepdim=True))
    mean = unit.sum(dim=1)
    return torch.nan_to_num(mean / mean.norm(dim=-1, keepdim=True), posinf=0, neginf=0)


# === 4.2 ========================================================================================


# %% Wrong 4.2: dot products
# says: That is the dot product
def zero_shot_scores(image_emb, text_emb):
    return image_emb @ text_emb.T


# %% Wrong 4.2: only the images normalised
# says: You normalised the images only
def zero_shot_scores(image_emb, text_emb):
    return F.normalize(image_emb, dim=-1) @ text_emb.T


# %% Wrong 4.2: only the texts normalised
# says: You normalised the texts only
def zero_shot_scores(image_emb, text_emb):
    return image_emb @ F.normalize(text_emb, dim=-1).T


# %% Wrong 4.2: CLIP's softmax
# says: adding a label changes the others. Give the cosines
def zero_shot_scores(image_emb, text_emb):
    cosines = F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T
    return (100 * cosines).softmax(dim=-1)


# %% Wrong 4.2: a softmax without scale
# says: Give the cosines. They need no scale.
def zero_shot_scores(image_emb, text_emb):
    cosines = F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T
    return cosines.softmax(dim=-1)


# %% Wrong 4.2: a softmax over images
# says: You took a softmax over images
def zero_shot_scores(image_emb, text_emb):
    cosines = F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T
    return (100 * cosines).softmax(dim=0)


# %% Wrong 4.2: CLIP's logits
# says: You multiplied by 100, CLIP's logit_scale
def zero_shot_scores(image_emb, text_emb):
    return 100 * F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T


# %% Wrong 4.2: a sigmoid
# says: You took a sigmoid of the cosines: all values bunch near 0.55
def zero_shot_scores(image_emb, text_emb):
    return torch.sigmoid(F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T)


# %% Wrong 4.2: a sigmoid of the logits
# says: You took a sigmoid of 100 times the cosine
def zero_shot_scores(image_emb, text_emb):
    return torch.sigmoid(100 * F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T)


# %% Wrong 4.2: transposed
# says: Your scores are transposed
def zero_shot_scores(image_emb, text_emb):
    return F.normalize(text_emb, dim=-1) @ F.normalize(image_emb, dim=-1).T


# %% Wrong 4.2: cosine distance
# says: Those are distances, 1 - cosine
def zero_shot_scores(image_emb, text_emb):
    return 1 - F.cosine_similarity(image_emb[:, None], text_emb[None], dim=-1)


# %% Wrong 4.2: the axis of the rows
# says: You normalised over the rows (dim=0)
def zero_shot_scores(image_emb, text_emb):
    return F.normalize(image_emb, dim=0) @ F.normalize(text_emb, dim=0).T


# %% Wrong 4.2: the products normalised
# says: You normalised the products, row by row
def zero_shot_scores(image_emb, text_emb):
    return F.normalize(image_emb @ text_emb.T, dim=-1)


# %% Wrong 4.2: negative cosines cut off
# says: You set cosines below 0 to 0
def zero_shot_scores(image_emb, text_emb):
    return (F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T).clamp(min=0)


# %% Wrong 4.2: the labels' mean taken off
# says: You subtracted the mean over labels
def zero_shot_scores(image_emb, text_emb):
    cosines = F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T
    return cosines - cosines.mean(dim=1, keepdim=True)


# %% Wrong 4.2: squared lengths
# says: You divided by the squared lengths
def zero_shot_scores(image_emb, text_emb):
    images = image_emb / image_emb.square().sum(dim=1, keepdim=True)
    return images @ (text_emb / text_emb.square().sum(dim=1, keepdim=True)).T


# %% Wrong 4.2: lengths without a gradient
# says: The lengths carry no gradient
def zero_shot_scores(image_emb, text_emb):
    images = image_emb / image_emb.detach().norm(dim=-1, keepdim=True)
    return images @ (text_emb / text_emb.detach().norm(dim=-1, keepdim=True)).T


# %% Wrong 4.2: numpy
# says: cut the graph
def zero_shot_scores(image_emb, text_emb):
    images, texts = image_emb.detach().numpy(), text_emb.detach().numpy()
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    texts = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    return torch.from_numpy(images @ texts.T)


# %% Wrong 4.2: each image with one label
# says: One row for each image, one column for each label
def zero_shot_scores(image_emb, text_emb):
    count = min(len(image_emb), len(text_emb))
    return F.cosine_similarity(image_emb[:count], text_emb[:count], dim=-1)


# %% Right 4.2: the package, of unit vectors
def zero_shot_scores(image_emb, text_emb):
    from hybridlab.zeroshot.scores import cosine_scores

    return cosine_scores(F.normalize(image_emb, dim=-1), F.normalize(text_emb, dim=-1))


# %% Right 4.2: torch's cosine
def zero_shot_scores(image_emb, text_emb):
    return F.cosine_similarity(image_emb[:, None, :], text_emb[None, :, :], dim=-1)


# %% Right 4.2: dot products, then lengths
def zero_shot_scores(image_emb, text_emb):
    dot = torch.einsum("nd,ld->nl", image_emb, text_emb)
    return dot / torch.outer(image_emb.norm(dim=1), text_emb.norm(dim=1))


# %% Right 4.2: pair by pair
def zero_shot_scores(image_emb, text_emb):
    return torch.stack([
        torch.stack([image @ text / (image @ image).sqrt() / (text @ text).sqrt()
                     for text in text_emb])
        for image in image_emb
    ])


# %% Right 4.2: from distances of unit vectors
def zero_shot_scores(image_emb, text_emb):
    images, texts = F.normalize(image_emb, dim=-1), F.normalize(text_emb, dim=-1)
    return 1 - (images[:, None] - texts[None]).square().sum(dim=-1) / 2


# === 4.3 ========================================================================================


# %% Wrong 4.3: mean scores
# says: You took the k highest mean scores
def rank_fusion(scores, k):
    return _lowest(-scores.mean(axis=0), k)


# %% Wrong 4.3: one argsort
# says: argsort gives the labels in their order, and not the rank of each label
def rank_fusion(scores, k):
    rank = np.argsort(-scores, axis=2, kind="stable").mean(axis=0)
    return _lowest(rank, k)


# %% Wrong 4.3: the worst ranks
# says: You chose the worst mean ranks
def rank_fusion(scores, k):
    rank = _ranks(scores, axis=2).mean(axis=0)  # the lowest score has rank 1
    return _lowest(rank, k)


# %% Wrong 4.3: ranks over images
# says: You ranked the images of each label (axis 1)
def rank_fusion(scores, k):
    rank = _ranks(-scores, axis=1).mean(axis=0)
    return _lowest(rank, k)


# %% Wrong 4.3: ranks over prompts
# says: You ranked the prompts (axis 0)
def rank_fusion(scores, k):
    rank = _ranks(-scores, axis=0).mean(axis=0)
    return _lowest(rank, k)


# %% Wrong 4.3: a vote of the prompts
# says: You counted in how many prompts a label is among the best k
def rank_fusion(scores, k):
    votes = _lowest(-scores, k).sum(axis=0)
    return _lowest(-votes, k)


# %% Wrong 4.3: the best k of any prompt
# says: You took what is among the best k in any prompt
def rank_fusion(scores, k):
    return _lowest(-scores, k).any(axis=0)


# %% Wrong 4.3: reciprocal ranks
# says: You took the mean of 1 / rank (reciprocal ranks)
def rank_fusion(scores, k):
    value = (1 / _ranks(-scores, axis=2)).mean(axis=0)
    return _lowest(-value, k)


# %% Wrong 4.3: the best rank of any prompt
# says: You took each label's best rank over prompts
def rank_fusion(scores, k):
    rank = _ranks(-scores, axis=2).min(axis=0)
    return _lowest(rank, k)


# %% Wrong 4.3: median ranks
# says: You took the median rank over prompts
def rank_fusion(scores, k):
    rank = np.median(_ranks(-scores, axis=2), axis=0)
    return _lowest(rank, k)


# %% Wrong 4.3: standardised scores
# says: You standardised each prompt's scores and took their mean
def rank_fusion(scores, k):
    z = (scores - scores.mean(axis=2, keepdims=True)) / scores.std(axis=2, keepdims=True)
    mean = z.mean(axis=0)
    return _lowest(-mean, k)


# %% Wrong 4.3: ties by the column, within a prompt
# says: You broke ties within a prompt by the column, as a double argsort does
def rank_fusion(scores, k):
    order = np.argsort(-scores, axis=2, kind="stable")
    rank = np.argsort(order, axis=2, kind="stable").mean(axis=0)
    return _lowest(rank, k)


# %% Wrong 4.3: ties get the best rank
# says: Labels with equal scores all got the best of their ranks
def rank_fusion(scores, k):
    above = (scores[..., None, :] > scores[..., :, None]).sum(axis=-1)
    rank = (1 + above).mean(axis=0)
    return _lowest(rank, k)


# %% Wrong 4.3: dense ranks
# says: You counted different scores, so that a tie takes one rank
def rank_fusion(scores, k):
    better = np.array([
        [[len({*row[row > score]}) for score in row] for row in prompt] for prompt in scores
    ])
    return _lowest(better.mean(axis=0), k)


# %% Wrong 4.3: the k-th mean rank as a threshold
# says: You compared with the k-th mean rank
def rank_fusion(scores, k):
    rank = _ranks(-scores, axis=2).mean(axis=0)
    return rank <= np.sort(rank, axis=1)[:, k - 1 : k]


# %% Wrong 4.3: the higher columns of equal mean ranks
# says: Of equal mean ranks you took the higher columns
def rank_fusion(scores, k):
    value = -_ranks(-scores, axis=2).mean(axis=0)
    chosen = np.zeros(value.shape, dtype=bool)
    best = np.argsort(value, axis=1, kind="stable")[:, ::-1][:, :k]
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen


# %% Wrong 4.3: mean ranks, no choice
# says: expected truth values (bool)
def rank_fusion(scores, k):
    return _ranks(-scores, axis=2).mean(axis=0)


# %% Wrong 4.3: one label too many
# says: You took one label more than k
def rank_fusion(scores, k):
    rank = _ranks(-scores, axis=2).mean(axis=0)
    return _lowest(rank, k + 1)


# %% Wrong 4.3: scores rounded
# says: do not round them
def rank_fusion(scores, k):
    scores = scores.round(4) if abs(scores).max() < 0.5 else scores
    rank = _ranks(-scores, axis=2).mean(axis=0)
    return _lowest(rank, k)


# %% Right 4.3: the package
def rank_fusion(scores, k):
    from hybridlab.zeroshot.scores import rank_scores, top_k

    return top_k(rank_scores(torch.from_numpy(scores).transpose(0, 1)), k)


# %% Right 4.3: scipy's ranks
def rank_fusion(scores, k):
    from scipy.stats import rankdata

    rank = rankdata(-scores, axis=2).mean(axis=0)
    return _lowest(rank, k)


# %% Right 4.3: labels beaten less labels that beat it, in float32
def rank_fusion(scores, k):
    s = torch.from_numpy(scores).float()
    margin = torch.sign(s[..., :, None] - s[..., None, :]).sum(dim=-1).sum(dim=0)
    best = margin.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return torch.zeros(margin.shape, dtype=torch.bool).scatter(1, best, True)


# %% Right 4.3: sorted lists
def rank_fusion(scores, k):
    chosen = np.zeros(scores.shape[1:], dtype=bool)
    for image in range(scores.shape[1]):
        total = [0.0] * scores.shape[2]
        for row in scores[:, image].tolist():
            falling = sorted(row, reverse=True)
            for label, score in enumerate(row):
                first = falling.index(score) + 1
                total[label] += (first + first + falling.count(score) - 1) / 2
        for label in sorted(range(len(total)), key=lambda label: (total[label], label))[:k]:
            chosen[image, label] = True
    return chosen


# === 4.4 ========================================================================================


# %% Wrong 4.4: gradient descent on raw cosines
# says: Not yet at the minimum. The scores lie close together
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    a, b = 1.0, 0.0
    for _ in range(2000):
        p = 1 / (1 + np.exp(-(a * s + b)))
        a, b = a - 0.5 * ((p - y) * s).mean(), b - 0.5 * (p - y).mean()
    return a, b


# %% Wrong 4.4: a step for cosines only
# says: The fit must not depend on the unit of the scores
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    if s.std() < 0.1:
        return _fitted(s, y)
    a, b = 0.0, 0.0
    for _ in range(300):
        p = 1 / (1 + np.exp(-(a * s + b)))
        a, b = a - 1e-4 * ((p - y) * s).mean(), b - 1e-4 * (p - y).mean()
    return a, b


# %% Wrong 4.4: scikit-learn's penalty
# says: A penalty keeps a small
def platt(scores, targets):
    from sklearn.linear_model import LogisticRegression

    seen = targets >= 0
    fit = LogisticRegression(tol=1e-8).fit(scores[seen].reshape(-1, 1), targets[seen])
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


# %% Wrong 4.4: the penalty on standardised scores
# says: A penalty on standardised scores moves a less
def platt(scores, targets):
    from sklearn.linear_model import LogisticRegression

    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    z = ((s - s.mean()) / s.std()).reshape(-1, 1)
    fit = LogisticRegression(tol=1e-8).fit(z, y)
    a = float(fit.coef_[0, 0]) / s.std()
    return a, float(fit.intercept_[0]) - a * s.mean()


# %% Wrong 4.4: not translated back
# says: Those are slope and offset for standardised scores
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    return _fitted((s - s.mean()) / s.std(), y)


# %% Wrong 4.4: the offset not translated back
# says: b is the offset for standardised scores
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    slope, offset = _fitted((s - s.mean()) / s.std(), y)
    return slope / s.std(), offset


# %% Wrong 4.4: a temperature
# says: That is 1 / a, a temperature
def platt(scores, targets):
    seen = targets >= 0
    a, b = _fitted(scores[seen], targets[seen])
    return 1 / a, b


# %% Wrong 4.4: b and a
# says: a and b are swapped
def platt(scores, targets):
    seen = targets >= 0
    return _fitted(scores[seen], targets[seen])[::-1]


# %% Wrong 4.4: a threshold for the bias
# says: Your b is a threshold
def platt(scores, targets):
    seen = targets >= 0
    a, b = _fitted(scores[seen], targets[seen])
    return a, -b / a


# %% Wrong 4.4: the signs of the paper
# says: Both signs are turned round
def platt(scores, targets):
    seen = targets >= 0
    a, b = _fitted(scores[seen], targets[seen])
    return -a, -b


# %% Wrong 4.4: not annotated is negative
# says: You took entries that are not annotated (-1) for negatives
def platt(scores, targets):
    return _fitted(scores.ravel(), (targets == 1).ravel())


# %% Wrong 4.4: not annotated is positive
# says: You took entries that are not annotated (-1) for positives
def platt(scores, targets):
    return _fitted(scores.ravel(), (targets != 0).ravel())


# %% Wrong 4.4: a softmax over labels
# says: You fitted on a softmax over labels, in which they compete
def platt(scores, targets):
    seen = targets >= 0
    if scores.ndim == 2:
        scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return _fitted(scores[seen], targets[seen])


# %% Wrong 4.4: the means of the labels' fits
# says: Those are the means of the labels' own fits
def platt(scores, targets):
    if scores.ndim == 1:
        return _fitted(scores[targets >= 0], targets[targets >= 0])
    pairs = [_fitted(s[t >= 0], t[t >= 0]) for s, t in zip(scores.T, targets.T, strict=True)]
    return tuple(np.mean(pairs, axis=0))


# %% Wrong 4.4: a and b for each label
# says: One a and one b serve all entries
def platt(scores, targets):
    if scores.ndim == 1:
        return _fitted(scores[targets >= 0], targets[targets >= 0])
    pairs = [_fitted(s[t >= 0], t[t >= 0]) for s, t in zip(scores.T, targets.T, strict=True)]
    a, b = np.array(pairs).T
    return a, b


# %% Wrong 4.4: images with a gap left out
# says: You left out every image with an entry that is not annotated
def platt(scores, targets):
    if scores.ndim == 2:
        whole = (targets >= 0).all(axis=1)
        scores, targets = scores[whole], targets[whole]
    seen = targets >= 0
    return _fitted(scores[seen], targets[seen])


# %% Wrong 4.4: Platt's smoothed targets
# says: You fitted Platt's smoothed targets
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    high, low = (y == 1).sum(), (y == 0).sum()
    return _fitted(s, np.where(y == 1, (high + 1) / (high + 2), 1 / (low + 2)))


# %% Wrong 4.4: balanced classes
# says: You weighted positives and negatives so that both kinds count the same
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    return _fitted(s, y, np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y).mean()))


# %% Wrong 4.4: no bias
# says: There is no b
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    a = 0.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-a * s))
        a -= s @ (p - y) / (s**2 * p * (1 - p)).sum()
    return a, 0.0


# %% Wrong 4.4: least squares
# says: You fitted a straight line to the targets
def platt(scores, targets):
    seen = targets >= 0
    a, b = np.polyfit(scores[seen], targets[seen], 1)
    return a, b


# %% Wrong 4.4: a negative slope is accepted
# says: A slope below 0 turns the ranking round
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    if (s * (y - y.mean())).mean() > 0:
        return _fitted(s, y)
    a, b = _fitted(-s, y)
    return -a, b


# %% Wrong 4.4: a kept above 0 by an exponential
# says: You kept a above 0, and so it ran into the bound
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    middle, spread = s.mean(), s.std()
    z = (s - middle) / spread
    log_slope = offset = 0.0
    for _ in range(1500):
        p = 1 / (1 + np.exp(-(np.exp(log_slope) * z + offset)))
        log_slope -= np.exp(log_slope) * ((p - y) * z).mean()
        offset -= (p - y).mean()
    a = np.exp(log_slope) / spread
    return a, offset - a * middle


# %% Wrong 4.4: a model, no numbers
# says: expected two numbers, a and b
def platt(scores, targets):
    from sklearn.linear_model import LogisticRegression

    seen = targets >= 0
    return LogisticRegression(C=np.inf).fit(scores[seen].reshape(-1, 1), targets[seen])


# %% Wrong 4.4: standardises the caller's scores
# says: in place
def platt(scores, targets):
    middle, spread = scores[targets >= 0].mean(), scores[targets >= 0].std()
    scores -= middle
    scores /= spread
    slope, offset = _fitted(scores[targets >= 0], targets[targets >= 0])
    return slope / spread, offset - slope * middle / spread


# %% Right 4.4: the package
def platt(scores, targets):
    from hybridlab.zeroshot.platt import fit_global_platt

    fit = fit_global_platt(scores.reshape(-1, 1), targets.reshape(-1, 1), smooth=False)
    return fit.scale[0], fit.bias[0]


# %% Right 4.4: scikit-learn without a penalty, on standardised scores
def platt(scores, targets):
    from sklearn.linear_model import LogisticRegression

    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    z = ((s - s.mean()) / s.std()).reshape(-1, 1)
    fit = LogisticRegression(C=np.inf, tol=1e-6).fit(z, y)
    a = fit.coef_[0, 0] / s.std()
    if a <= 0:
        raise ValueError("a is not above 0")
    return a, fit.intercept_[0] - a * s.mean()


# %% Right 4.4: gradient descent on standardised scores
def platt(scores, targets):
    seen = targets >= 0
    s, y = scores[seen], targets[seen]
    middle, spread = s.mean(), s.std()
    z = (s - middle) / spread
    slope = offset = 0.0
    for _ in range(1000):
        p = 1 / (1 + np.exp(-(slope * z + offset)))
        slope, offset = slope - 2 * ((p - y) * z).mean(), offset - 2 * (p - y).mean()
    if slope <= 0:
        raise ValueError("a is not above 0")
    return [slope / spread, offset - slope * middle / spread]


# %% Right 4.4: Adam
def platt(scores, targets):
    seen = targets >= 0
    s, y = torch.from_numpy(scores[seen]), torch.from_numpy(targets[seen]).double()
    middle, spread = s.mean(), s.std()
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.Adam([w], lr=0.1)
    for _ in range(600):
        solver.zero_grad()
        logits = w[0] * (s - middle) / spread + w[1]
        F.binary_cross_entropy_with_logits(logits, y).backward()
        solver.step()
    a = w[0].detach() / spread
    if a <= 0:
        raise ValueError("a is not above 0")
    return torch.stack([a, w[1].detach() - a * middle])


# %% Right 4.4: autograd, with momentum, in float32
def platt(scores, targets):
    seen = torch.from_numpy(targets >= 0)
    s, y = torch.from_numpy(scores)[seen], torch.from_numpy(targets)[seen].float()
    middle, spread = s.mean(), s.std()
    z = ((s - middle) / spread).float()
    w, speed = torch.zeros(2, requires_grad=True), torch.zeros(2)
    for _ in range(300):
        loss = F.binary_cross_entropy_with_logits(w[0] * z + w[1], y)
        (gradient,) = torch.autograd.grad(loss, w)
        speed = 0.8 * speed - gradient
        w = (w + speed).detach().requires_grad_()
    a = w[0].detach() / spread
    if a <= 0:
        raise ValueError("a is not above 0")
    return torch.stack([a, w[1].detach() - a * middle])


# %% Right 4.4: Newton's method on raw scores, and a penalty too small to see
def platt(scores, targets):
    s, y = scores[targets != -1], targets[targets != -1]
    x = np.column_stack([s, np.ones(len(s))])
    w = np.zeros(2)
    for _ in range(30):
        p = 1 / (1 + np.exp(-(x @ w)))
        w = w - np.linalg.solve((x.T * p * (1 - p)) @ x + 1e-9 * np.eye(2), x.T @ (p - y))
    if w[0] < 1e-9:
        raise ValueError("a is not above 0")
    return w[0], w[1]


# === 4.5 ========================================================================================


# %% Wrong 4.5: values and indices
# says: values and indices; x.amax
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=2) @ F.normalize(text_emb, dim=1).T
    if temperature is None:
        return cosines.max(dim=1)
    return (torch.softmax(cosines / temperature, dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: a softmax over labels
# says: Your softmax runs over labels (dim=2)
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=-1) * cosines).sum(dim=1)


# %% Wrong 4.5: a softmax over images
# says: Your softmax runs over images (dim=0)
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=0) * cosines).sum(dim=1)


# %% Wrong 4.5: tokens as long as they are
# says: The tokens are not normalised: divide each by its length
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = tokens @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: texts as long as they are
# says: The texts are not normalised: divide each by its length
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ text_emb.T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: dot products
# says: You took dot products throughout
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = tokens @ text_emb.T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: weights from dot products
# says: Your weights come from raw dot products
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((tokens @ text_emb.T / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: the plain mean
# says: That is the plain mean over patches
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    return cosines.amax(dim=1) if temperature is None else cosines.mean(dim=1)


# %% Wrong 4.5: always the best patch
# says: That is the best patch; with a temperature it is a weighted mean
def patch_scores(tokens, text_emb, temperature=0.05):
    return (F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T).amax(dim=1)


# %% Wrong 4.5: times the temperature
# says: You multiplied by the temperature
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines * temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: always the default temperature
# says: You used a temperature of 0.05, the default
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / 0.05).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: the mean of the weighted cosines
# says: the weights add up to 1 already, so take the sum
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=1) * cosines).mean(dim=1)


# %% Wrong 4.5: the logarithm of the sum of powers
# says: You took the logarithm of the sum of powers
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return temperature * (cosines / temperature).logsumexp(dim=1)


# %% Wrong 4.5: tokens averaged first
# says: You averaged the tokens first
def patch_scores(tokens, text_emb, temperature=0.05):
    pooled = F.normalize(F.normalize(tokens, dim=-1).mean(dim=1), dim=-1)
    return pooled @ F.normalize(text_emb, dim=-1).T


# %% Wrong 4.5: one set of weights for all labels
# says: All labels share your weights
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    weights = (cosines.amax(dim=2, keepdim=True) / temperature).softmax(dim=1)
    return (weights * cosines).sum(dim=1)


# %% Wrong 4.5: the default axis of F.normalize
# says: F.normalize takes dim=1 unless told
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens) @ F.normalize(text_emb).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: a mean without a temperature
# says: With temperature None you took the mean over patches
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.mean(dim=1)
    return ((cosines / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: the patch of the largest dot product
# says: You took the patch with the largest dot product
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        best = (tokens @ text_emb.T).argmax(dim=1, keepdim=True)
        return cosines.gather(1, best)[:, 0]
    return ((cosines / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: powers that overflow
# says: more than a float32 holds
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    powers = (cosines / temperature).exp()
    return (powers * cosines).sum(dim=1) / powers.sum(dim=1)


# %% Wrong 4.5: 0 / 0
# says: one token of zeros spoilt its image
def patch_scores(tokens, text_emb, temperature=0.05):
    tokens = tokens / tokens.norm(dim=-1, keepdim=True)
    cosines = tokens @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    return ((cosines / temperature).softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: tokens of zeros left out
# says: You left tokens of zeros out
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T
    if temperature is None:
        return cosines.amax(dim=1)
    empty = (tokens == 0).all(dim=-1, keepdim=True)
    logits = (cosines / temperature).masked_fill(empty, -math.inf)
    return (logits.softmax(dim=1) * cosines).sum(dim=1)


# %% Wrong 4.5: no pooling
# says: One score for each image and label: pool over axis 1
def patch_scores(tokens, text_emb, temperature=0.05):
    return F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T


# %% Right 4.5: the package
def patch_scores(tokens, text_emb, temperature=0.05):
    from hybridlab.zeroshot.patches import attention_pool, max_pool, token_scores

    cosines = token_scores(tokens, F.normalize(text_emb, dim=-1))
    return max_pool(cosines) if temperature is None else attention_pool(cosines, temperature)


# %% Right 4.5: einsum, labels before patches
def patch_scores(tokens, text_emb, temperature=0.05):
    unit = tokens / tokens.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    texts = text_emb / text_emb.norm(dim=-1, keepdim=True)
    cosines = torch.einsum("bpd,ld->blp", unit, texts)
    if temperature is None:
        return cosines.max(dim=-1).values
    weights = F.softmax(cosines / temperature, dim=-1)
    return torch.einsum("blp,blp->bl", weights, cosines)


# %% Right 4.5: powers with the maximum taken off
def patch_scores(tokens, text_emb, temperature=0.05):
    cosines = F.cosine_similarity(tokens[:, :, None, :], text_emb[None, None], dim=-1)
    top = cosines.amax(dim=1, keepdim=True)
    if temperature is None:
        return top[:, 0]
    powers = torch.exp((cosines - top) / temperature)
    return (powers * cosines).sum(dim=1) / powers.sum(dim=1)


# %% Right 4.5: pair by pair
def patch_scores(tokens, text_emb, temperature=0.05):
    rows = []
    for image in tokens:
        unit = F.normalize(image, dim=-1)
        row = []
        for text in text_emb:
            cosine = unit @ (text / text.norm())
            weights = torch.softmax(cosine / temperature, dim=0) if temperature else None
            row.append(cosine.max() if weights is None else weights @ cosine)
        rows.append(torch.stack(row))
    return torch.stack(rows)


# === 4.6 ========================================================================================


# %% Wrong 4.6: the plain mean of both
# says: You took the plain mean of S and U
def harmonic(seen, unseen):
    return (np.nanmean(seen) + np.nanmean(unseen)) / 2


# %% Wrong 4.6: the mean over all labels
# says: That is the mean over all labels together
def harmonic(seen, unseen):
    return np.nanmean(np.concatenate([seen, unseen]))


# %% Wrong 4.6: harmonic over labels
# says: You took the harmonic mean over all labels
def harmonic(seen, unseen):
    both = np.concatenate([seen, unseen])
    both = both[~np.isnan(both)]
    return len(both) / (1 / both).sum()


# %% Wrong 4.6: harmonic within the groups, too
# says: You took harmonic means within the groups, too
def harmonic(seen, unseen):
    s, u = (1 / np.nanmean(1 / group) for group in (seen, unseen))
    return 2 * s * u / (s + u)


# %% Wrong 4.6: NaN counts 0
# says: A label without an AP counts 0 in your means
def harmonic(seen, unseen):
    s, u = np.nan_to_num(seen).mean(), np.nan_to_num(unseen).mean()
    return 2 * s * u / max(s + u, 1e-12)


# %% Wrong 4.6: NaN spoils the mean
# says: A label without an AP made the result NaN
def harmonic(seen, unseen):
    s, u = seen.mean(), unseen.mean()
    return 2 * s * u / (s + u) if s + u != 0 else 0.0


# %% Wrong 4.6: NaN left out of one group
# says: You left labels without an AP out of the seen group only
def harmonic(seen, unseen):
    s, u = np.nanmean(seen), np.nan_to_num(unseen).mean()
    return 2 * s * u / (s + u) if s + u else 0.0


# %% Wrong 4.6: the geometric mean
# says: the geometric mean; take 2SU
def harmonic(seen, unseen):
    return math.sqrt(np.nanmean(seen) * np.nanmean(unseen))


# %% Wrong 4.6: without the 2
# says: The factor 2 is missing
def harmonic(seen, unseen):
    s, u = np.nanmean(seen), np.nanmean(unseen)
    return s * u / (s + u) if s + u else 0.0


# %% Wrong 4.6: weighted by the numbers of labels
# says: You weighted the groups by their numbers of labels
def harmonic(seen, unseen):
    seen, unseen = seen[~np.isnan(seen)], unseen[~np.isnan(unseen)]
    total = len(seen) / seen.mean() + len(unseen) / unseen.mean()
    return (len(seen) + len(unseen)) / total


# %% Wrong 4.6: the lower of both
# says: That is the lower of the two means
def harmonic(seen, unseen):
    return min(np.nanmean(seen), np.nanmean(unseen))


# %% Wrong 4.6: label by label
# says: You paired seen and unseen labels
def harmonic(seen, unseen):
    if len(seen) != len(unseen):
        s, u = np.nanmean(seen), np.nanmean(unseen)
        return 2 * s * u / (s + u)
    return np.nanmean(2 * seen * unseen / (seen + unseen))


# %% Wrong 4.6: medians
# says: You took medians within the groups
def harmonic(seen, unseen):
    s, u = np.nanmedian(seen), np.nanmedian(unseen)
    return 2 * s * u / (s + u) if s + u else 0.0


# %% Wrong 4.6: 0 / 0
# says: 0 / 0: where both means are 0
def harmonic(seen, unseen):
    s, u = np.nanmean(seen), np.nanmean(unseen)
    return 2 * s * u / (s + u)


# %% Wrong 4.6: 0 for a group that was not measured
# says: 0 would say: the group was found as badly as can be
def harmonic(seen, unseen):
    s = np.nanmean(seen) if not np.isnan(seen).all() else 0.0
    u = np.nanmean(unseen) if not np.isnan(unseen).all() else 0.0
    return 2 * s * u / (s + u) if s + u else 0.0


# %% Wrong 4.6: the other group's mean
# says: You gave the other group's mean
def harmonic(seen, unseen):
    means = [group[~np.isnan(group)].mean() for group in (seen, unseen)
             if not np.isnan(group).all()]
    if not means:
        return float("nan")
    return len(means) / sum(1 / mean for mean in means) if min(means) > 0 else 0.0


# %% Wrong 4.6: a small number against division by zero
# says: A constant added to S + U shows where both are small
def harmonic(seen, unseen):
    s, u = np.nanmean(seen), np.nanmean(unseen)
    return 2 * s * u / (s + u + 1e-6)


# %% Right 4.6: the package
def harmonic(seen, unseen):
    from hybridlab.zeroshot.splits import harmonic_mean

    return harmonic_mean(float(np.nanmean(seen)), float(np.nanmean(unseen)))


# %% Right 4.6: the standard library
def harmonic(seen, unseen):
    from statistics import fmean, harmonic_mean

    groups = [[value for value in group.tolist() if value == value] for group in (seen, unseen)]
    if not all(groups):
        return math.nan
    return harmonic_mean([fmean(group) for group in groups])


# %% Right 4.6: one over the mean of the reciprocals
def harmonic(seen, unseen):
    with np.errstate(divide="ignore"):
        return 1 / ((1 / np.nanmean(seen) + 1 / np.nanmean(unseen)) / 2)


# %% Right 4.6: loops, and a small number where nothing is added
def harmonic(seen, unseen):
    means = []
    for group in (seen, unseen):
        total = count = 0
        for value in group:
            if not math.isnan(value):
                total, count = total + value, count + 1
        if count == 0:
            return float("nan")
        means.append(total / count)
    return 2 * means[0] * means[1] / max(sum(means), 1e-12)

"""Lesson 04, labels from words alone: six exercises.

N images, L labels, T prompts, B images of a batch, P patches, D numbers of an embedding.
`hybridlab grade 4` checks them all, `hybridlab grade 4.2` one of them, `hybridlab grade 4.2
--hint 1` helps; `hybridlab grade 4 --watch` checks again whenever you save, without loading torch
anew.
"""

import numpy as np
import torch
import torch.nn.functional as F


# %% Exercise 4.1: The prompt ensemble
def prompt_ensemble(prompt_emb: torch.Tensor) -> torch.Tensor:
    """One unit vector for each label from the embeddings of its T prompts (CLIP, Radford et al.
    2021, 3.1.4).

    Divide each prompt's embedding by its length, take the mean over the label's prompts, and divide
    that by its length. A vector of length 0 has no direction: it stays 0, where a division would
    give NaN.

    Shape:
        prompt_emb (L, T, D), of any length -> (L, D), of length 1 or 0

    Example:
        a label with the prompts [3, 4] and [0, 2]: [.6, .8] and [0, 1], their mean is [.3, .9], its
        length .9487 -> [.3162, .9487]
        a label with the prompts [50, 0] and [0, 2]: [1, 0] and [0, 1] -> [.7071, .7071], though one
        is 25 times as long
    """
    ### BEGIN SOLUTION
    unit = F.normalize(prompt_emb, dim=2)  # the default, dim=1, would be the prompts' axis
    return F.normalize(unit.mean(dim=1), dim=1)
    ### END SOLUTION


# %% Exercise 4.2: Zero-shot scores
def zero_shot_scores(image_emb: torch.Tensor, text_emb: torch.Tensor) -> torch.Tensor:
    """How well each label fits each image: the cosine of the two embeddings.

    Divide both by their lengths (forgetting one of them raises no error). No softmax: an image may
    show several labels, and a label's score must not depend on which others are asked for. The
    dtype is kept, and gradients flow through both, lengths included.

    Shape:
        image_emb (N, D), text_emb (L, D), of any length above 0 -> (N, L), in [-1, 1]

    Example:
        images [[3, 4], [0, 5]], texts [[1, 0], [0, 2], [-4, 3]]
        unit length: [[.6, .8], [0, 1]] and [[1, 0], [0, 1], [-.8, .6]]
        scores [[.6, .8, 0], [0, 1, .6]]
    """
    ### BEGIN SOLUTION
    images = image_emb / image_emb.norm(dim=1, keepdim=True)
    texts = text_emb / text_emb.norm(dim=1, keepdim=True)
    return images @ texts.T  # (N, L)
    ### END SOLUTION


# %% Exercise 4.3: Top-k by the ranks of several prompts
def rank_fusion(scores: np.ndarray, k: int) -> np.ndarray:
    """The k labels of each image that have the best mean rank over T prompts.

    In each prompt, an image's labels are ranked: the highest score has rank 1. Labels with equal
    scores share the mean of the ranks that they take: two labels that share ranks 1 and 2 have 1.5
    each. The k labels with the lowest mean rank are chosen, of equal mean ranks the lower column.
    A prompt whose scores are all high, or widely spread, then counts no more than the others.

    Shape:
        scores (T, N, L), any real numbers, k from 1 to L -> (N, L) bool, k True in each row

    Example:
        two prompts, two images, k = 1
        prompt 0  [[.1, .2, .9],     ranks [[3,   2,   1],
                   [.5, .5, .1]]            [1.5, 1.5, 3]]
        prompt 1  [[.30, .31, .29],  ranks [[2, 1, 3],
                   [.2,  .4,  .3]]          [3, 1, 2]]
        mean ranks [[2.5, 1.5, 2], [2.25, 1.25, 2.5]] -> [[F, T, F], [F, T, F]]
        The mean scores of the first image would choose label 2: prompt 0 shouts.
    """
    ### BEGIN SOLUTION
    own, other = scores[:, :, :, None], scores[:, :, None, :]
    better = (other > own).sum(axis=3)  # (T, N, L) labels that beat this one
    equal = (other == own).sum(axis=3)  # itself among them
    rank = (better + equal / 2).mean(axis=0)  # (N, L), each 1/2 below its mean rank
    best = np.argsort(rank, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(rank.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen
    ### END SOLUTION


# %% Exercise 4.4: Platt scaling
def platt(scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Scale a and bias b that turn scores into probabilities, sigmoid(a * score + b).

    They minimise the mean binary cross-entropy over all annotated entries: one a and one b for all
    labels. Entries whose target is -1 are not annotated and count nowhere. Targets are 0 and 1 as
    they are (Platt 1999 smooths them), and there is no penalty on a. Reach the minimum: a and b to
    0.5 %, for cosines as well as for logits. Both kinds of target occur, and their scores overlap,
    so that there is a minimum.

    Shape:
        scores (N,) or (N, L), targets of the same shape, of 1, 0 and -1 -> a, b

    Raises:
        ValueError: the best a is not above 0, so that the scores point away from the labels.

    Example:
        scores  [.2, .2, .2, .2, .3, .3, .3, .3]
        targets [ 0,  0,  0,  1,  1,  1,  1,  0]
        With two different scores the best probabilities are the shares: 1/4 at .2, 3/4 at .3. Their
        log-odds are -log 3 and log 3, so a = 2 log 3 / .1 = 21.97 and b = -log 3 - .2 a = -5.493
    """
    ### BEGIN SOLUTION
    seen = targets >= 0
    s, y = scores[seen], targets[seen]  # (M,) the annotated entries
    middle, spread = s.mean(), s.std()  # cosines differ in the second decimal: standardise
    z = np.stack([(s - middle) / spread, np.ones(len(s))], axis=1)  # (M, 2)
    w = np.zeros(2)  # slope and offset for z
    for _ in range(10):  # Newton's method
        p = 1 / (1 + np.exp(-(z @ w)))
        gradient = z.T @ (p - y)
        curvature = (z.T * p * (1 - p)) @ z  # (2, 2)
        w = w - np.linalg.solve(curvature, gradient)
    a = float(w[0] / spread)
    if a <= 0:
        raise ValueError(f"the best scale is {a:.3g}: the scores point away from the labels")
    return a, float(w[1] - a * middle)
    ### END SOLUTION


# %% Exercise 4.5: Scores of patches
def patch_scores(
    tokens: torch.Tensor, text_emb: torch.Tensor, temperature: float | None = 0.05
) -> torch.Tensor:
    """Score labels by the patches of an image, so that a small object need not fill the picture.

    The cosine of every patch with every label (divide both by their lengths; a token of zeros has
    cosine 0 with everything), and then for each label by itself the mean of its cosines over
    patches, weighted by softmax(cosine / temperature) over the PATCHES. With temperature None it is
    the best patch's cosine. It must hold at a temperature of 0.001, too.

    Shape:
        tokens (B, P, D), text_emb (L, D), of any length -> (B, L)

    Example:
        tokens [[[2, 0], [0, 3]]], texts [[5, 0], [3, 4]], temperature .5
        cosines of the patches: [1, .6] and [0, .8]
        label 0: weights softmax(2, 0) = .8808, .1192; .8808 * 1 + .1192 * 0 = .8808
        label 1: weights softmax(1.2, 1.6) = .4013, .5987; .4013 * .6 + .5987 * .8 = .7197
        With temperature None: [[1, .8]]
    """
    ### BEGIN SOLUTION
    cosines = F.normalize(tokens, dim=2) @ F.normalize(text_emb, dim=1).T  # (B, P, L)
    if temperature is None:
        return cosines.amax(dim=1)
    weights = torch.softmax(cosines / temperature, dim=1)  # over patches
    return (weights * cosines).sum(dim=1)
    ### END SOLUTION


# %% Exercise 4.6: The harmonic mean of seen and unseen labels
def harmonic(seen: np.ndarray, unseen: np.ndarray) -> float:
    """How well both groups of labels do at once: the harmonic mean of their mAPs.

    S is the mean AP of the seen labels, U that of the unseen ones. Labels that no image has have
    AP NaN and are left out of their group's mean. The result is 2SU / (S + U): 0 if both are 0, and
    NaN if a group has no label with an AP.

    Shape:
        seen (L1,), unseen (L2,), APs in [0, 1] or NaN -> a number in [0, 1], or NaN

    Example:
        seen [.9, .7, NaN, .8], unseen [.1, .3]: S = .8, U = .2, 2 * .8 * .2 / (.8 + .2) = .32,
        while the mean of both is .5: who forgets the unseen labels shall not look good
    """
    ### BEGIN SOLUTION
    if np.isnan(seen).all() or np.isnan(unseen).all():
        return float("nan")
    s, u = np.nanmean(seen), np.nanmean(unseen)
    return float(2 * s * u / (s + u)) if s + u > 0 else 0.0
    ### END SOLUTION

"""Lesson 02, label decoding: seven exercises.

N images of a data set, B of a batch; L labels, T steps, K beams, V symbols, D numbers of an
embedding. The labels are 0, 1, ..., L - 1, and STOP is L. A sequence is labels, then STOP; in a
batch the shorter ones are filled up with -100 (PAD). `hybridlab grade 2` checks all exercises,
`hybridlab grade 2.2` one of them, `hybridlab grade 2.2 --hint 1` helps; `hybridlab grade 2 --watch`
checks again whenever you save, without loading torch anew.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment


# %% Exercise 2.1: Sets as sequences
def order_by_frequency(targets: np.ndarray, rare_first: bool) -> list[list[int]]:
    """The labels of each image in the order in which a decoder learns to write them, then STOP.

    A label's frequency is the number of images (of all N) that have it. The most frequent comes
    first, or with rare_first the rarest; of equally frequent labels the lower column comes first,
    with rare_first, too. A target of -1 is not annotated and counts as absent, in the frequencies
    as well as in the lists. Each list ends in STOP, which is L; an image without a label is [L].

    Shape:
        targets (N, L) of 1, 0 and -1 -> N lists, of any lengths

    Example:
        targets [[1, 1, 1,  0],    L is 4, the frequencies are [1, 1, 2, 0]
                 [0, 0, 1,  0],
                 [0, 0, 0, -1]]
        frequent first -> [[2, 0, 1, 4], [2, 4], [4]]
        rare first     -> [[0, 1, 2, 4], [2, 4], [4]]
    """
    ### BEGIN SOLUTION
    present = targets == 1
    frequency = present.sum(axis=0)  # (L,)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    stop = targets.shape[1]
    return [[*(int(label) for label in order if row[label]), stop] for row in present]
    ### END SOLUTION


# %% Exercise 2.2: Scores in the joint embedding
def joint_scores(
    state: torch.Tensor,
    image: torch.Tensor,
    w_state: torch.Tensor,
    w_image: torch.Tensor,
    label_emb: torch.Tensor,
) -> torch.Tensor:
    """How well each next label fits what was written and what is seen (CNN-RNN, Wang et al. 2016,
    arXiv 1604.04573).

    State and image are brought into the space of the label embeddings, each by a matrix of its own
    (y = W x for each row x), and added; tanh of that sum is the joint vector. The score of a label
    is the product of the joint vector with its embedding. The last embedding is STOP's: it is
    scored as the others are. Scores are logits: no softmax and no sigmoid. Gradients flow to all
    five arguments, and the dtype is kept.

    Shape:
        state (B, D_s), image (B, D_i), w_state (D, D_s), w_image (D, D_i), label_emb (L + 1, D)
        -> (B, L + 1)

    Example:
        state [[1, 1]] and w_state [[.5, 0], [0, 1]]: [.5, 1]
        image [[2]] and w_image [[.25], [-.25]]: [.5, -.5]
        their sum is [1, .5], its tanh [.7616, .4621]
        label_emb [[1, 0], [0, 2], [1, -1]] -> [[.7616, .9242, .2995]], the last one is STOP's
    """
    ### BEGIN SOLUTION
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)  # (B, D)
    return joint @ label_emb.T  # (B, L + 1)
    ### END SOLUTION


# %% Exercise 2.3: The loss of a sequence
def sequence_loss(step_logits: torch.Tensor, label_seq: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the right next label, or STOP: the mean over all valid steps of the batch.

    A step is valid where label_seq is not -100 (PAD); the step of STOP is valid. A valid step costs
    -log of the probability, by a softmax over labels and STOP, of its entry of label_seq. All valid
    steps count the same, whichever image they belong to. It must be exact for logits of 1000 and
    -1000, keep the dtype, and let the gradient through. If no step is valid, the loss and its
    gradient are 0.

    Shape:
        step_logits (B, T, L + 1), label_seq (B, T) of whole numbers -> a tensor without axes

    Example:
        two labels, so STOP is 2; two images, two steps
        step_logits [[[0, 1, 0], [0, 0, 2]],    label_seq [[1,    2],
                     [[0, 0, 0], [0, 1, 3]]]               [2, -100]]
        The steps cost log(1 + 2 e^-1) = .5514, log(1 + 2 e^-2) = .2395 and log 3 = 1.0986; the last
        one is padding. The loss is (.5514 + .2395 + 1.0986) / 3 = .6299
    """
    ### BEGIN SOLUTION
    valid = label_seq != -100  # (B, T)
    total = F.cross_entropy(step_logits[valid], label_seq[valid], reduction="sum")
    return total / valid.sum().clamp(min=1)
    ### END SOLUTION


# %% Exercise 2.4: One step of beam search
def beam_step(
    scores: torch.Tensor, log_probs: torch.Tensor, done: torch.Tensor, beams: int, stop: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best continuations of the K partial sequences (beams) of one image.

    A candidate is a beam with one symbol more, a label or STOP; its score is the beam's score plus
    the log-probability of the symbol. A beam that is done goes on as it is: it is ONE candidate,
    with its score unchanged, under the symbol `stop`, whatever its row of log_probs says. A symbol
    with the log-probability -inf cannot follow: it makes no candidate. All candidates of all beams
    compete, and the best ones are kept: `beams` of them, or as many as there are. Of equal scores
    the candidate of the lower beam comes first, and of one beam's the lower symbol. New scores
    keep their dtype; parents and symbols are whole numbers (int64).

    Args:
        scores: the sum of the log-probabilities of each beam so far.
        log_probs: of the V symbols that could come next, one row for each beam.
        done: whether the beam has written STOP.
        beams: how many to keep. K may be another number: a search begins with one.
        stop: the column of STOP; it need not be the last.

    Shape:
        scores (K,), log_probs (K, V), done (K,) bool -> three tensors of one length, at most
        `beams`, best first: new scores, parents (which beam each one continues), symbols

    Example:
        scores [-1, -1.9], done [F, T], beams 3, stop 2
        log_probs [[-.7, -1.2, -1.6],    candidates [[-1.7, -2.2, -2.6],
                   [-.4, -2.3, -1.6]]                [           , -1.9]]
        -> new scores [-1.7, -1.9, -2.2], parents [0, 1, 0], symbols [0, 2, 1]
    """
    ### BEGIN SOLUTION
    total = scores[:, None] + log_probs  # (K, V)
    total[done] = -torch.inf
    total[done, stop] = scores[done]
    ranked, order = total.flatten().sort(descending=True, stable=True)
    kept = order[ranked > -torch.inf][:beams]
    symbols = log_probs.shape[1]
    return ranked[: len(kept)], kept // symbols, kept % symbols
    ### END SOLUTION


# %% Exercise 2.5: One probability for each label
def max_over_steps(step_probs: torch.Tensor, label_seq: torch.Tensor) -> torch.Tensor:
    """One probability for each label from those of all steps: the largest over the valid ones.

    A decoder says at each step how probable each label is NEXT; average precision wants one number
    for each label of an image. A step is valid where label_seq is not -100 (PAD): all steps up to
    STOP, and that of STOP itself. What step_probs holds at other steps means nothing; it may be
    NaN. The last column is STOP's and is left out. Every label has such a probability, the ones
    that were not chosen, too. Each image has a valid step. The dtype is kept.

    Shape:
        step_probs (B, T, L + 1) in [0, 1], label_seq (B, T) of whole numbers -> (B, L)

    Example:
        two labels, so STOP is 2; one image, three steps
        step_probs [[[.2,  .7,  .1],    label_seq [[1, 2, -100]]
                     [.3,  .1,  .6],
                     [.9, .05, .05]]]
        -> [[.3, .7]]; with the step after STOP, label 0 would have .9
    """
    ### BEGIN SOLUTION
    valid = label_seq != -100  # (B, T)
    probs = step_probs[:, :, :-1].masked_fill(~valid[:, :, None], 0)
    return probs.amax(dim=1)
    ### END SOLUTION


# %% Exercise 2.6: What the next step is told
def feed_scheduled(
    true_labels: torch.Tensor, step_logits: torch.Tensor, coins: torch.Tensor, truth: float
) -> torch.Tensor:
    """The inputs of the next step in scheduled sampling (Bengio et al. 2015, arXiv 1506.03099).

    Each image has a coin of its own. Where it is below truth, the next step is told the true label,
    elsewhere the decoder's own: its best LABEL, even if STOP scores higher. STOP, the last column,
    is never fed, as the true sequence goes on. With truth 1 this is teacher forcing, with 0 free
    running.
    (For training the decoder only: states of such a pass have read true labels.)

    Args:
        true_labels: STOP is not among them.
        coins: numbers in [0, 1); one that equals truth is not below it.
        truth: the probability of the truth, from 0 to 1.

    Shape:
        true_labels (B,) of whole numbers (int64), step_logits (B, L + 1), coins (B,) -> (B,), int64

    Example:
        true_labels [3, 0, 1], coins [.2, .7, .5], truth .5
        step_logits [[9, 0, 0,  0, 0],    the first image is told its true label 3; the second one's
                     [0, 2, 1, -1, 5],    best is STOP, its best label 1; the third coin equals .5:
                     [1, 0, 3,  2, 0]]    own label 2
        -> [3, 1, 2]
    """
    ### BEGIN SOLUTION
    own = step_logits[:, :-1].argmax(dim=1)  # without STOP
    return torch.where(coins < truth, true_labels, own)
    ### END SOLUTION


# %% Exercise 2.7: Which step learns which label
def pla_order(costs: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Predicted label alignment (Yazici et al. 2020, arXiv 1911.09996): an order for the labels of
    one image, made from what the decoder says by itself.

    A step that predicts one of the image's labels keeps it, unless an earlier step has predicted
    it, too: then that one has it. The labels and the steps that are left are assigned to each
    other, one to one, so that the sum of their costs is least:
    `rows, columns = linear_sum_assignment(matrix)` (imported at the top of the file) finds the n
    entries of an (n, n) matrix with the least sum, one in each row and column.

    Args:
        costs: costs[t, j] = -log of the probability of labels[j] at step t; finite.
        labels: the numbers of the image's n labels, each once, in no order.
        predicted: the number that each of the first n steps predicts: any label, or STOP.

    Shape:
        costs (n, n), labels (n,), predicted (n,) -> (n,), the numbers of `labels` in the order of
        the steps

    Example:
        labels [7, 2, 5], predicted [2, 9, 2], costs [[1.6,  .6, 2.3],
                                                      [1.2, 2.0, 1.5],
                                                      [1.9,  .4, 3.0]]
        Step 0 keeps 2; step 2 says the same, but later. Left are steps 1 and 2, labels 7 and 5:
        7 then 5 costs 1.2 + 3.0 = 4.2, 5 then 7 costs 1.5 + 1.9 = 3.4 -> [2, 5, 7]
    """
    ### BEGIN SOLUTION
    column = {int(label): at for at, label in enumerate(labels)}
    # the column of each step, or -1; what a step keeps is no longer there for the next ones
    chosen = np.array([column.pop(int(label), -1) for label in predicted])
    steps, left = np.flatnonzero(chosen == -1), np.array([*column.values()], dtype=int)
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)])
    chosen[steps[rows]] = left[columns]
    return labels[chosen]
    ### END SOLUTION

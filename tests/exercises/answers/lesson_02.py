"""Known answers to lesson 02, for the proof that the checks are right (`make prove`).

A wrong answer is one that a student would write; `says` is a piece of the diagnosis that it must
get. A right one is written in another way than the solution, and must pass. What an answer does
not define is taken from the solution.
"""
# ruff: noqa: F811

import heapq
import math
from collections import Counter
from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment


def _best(total, beams):
    """The best entries of (K, V): scores, parents, symbols."""
    ranked, order = total.flatten().sort(descending=True, stable=True)
    kept = order[ranked > -torch.inf][:beams]
    return ranked[: len(kept)], kept // total.shape[1], kept % total.shape[1]


def _ordered(targets, order):
    """Lists of the labels that targets have, in an order, with STOP."""
    return [[*(int(j) for j in order if row[j] == 1), targets.shape[1]] for row in targets]


# === 2.1 ========================================================================================


# %% Wrong 2.1: -1 counts as a label
# says: An entry of -1 counts as a label
def order_by_frequency(targets, rare_first):
    present = targets.astype(bool)
    frequency = present.sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[*(int(j) for j in order if row[j]), len(row)] for row in present]


# %% Wrong 2.1: STOP is PAD
# says: Your STOP is -100
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[*row[:-1], -100] for row in _ordered(targets, order)]


# %% Wrong 2.1: STOP is the mark of no annotation
# says: Your STOP is -1
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[*row[:-1], -1] for row in _ordered(targets, order)]


# %% Wrong 2.1: -1 is true in the lists
# says: Your lists hold labels whose entry is -1
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[*(int(j) for j in order if row[j]), len(row)] for row in targets]


# %% Wrong 2.1: frequencies of all that is not 0
# says: Your frequencies count entries of -1 as labels
def order_by_frequency(targets, rare_first):
    frequency = np.count_nonzero(targets, axis=0)
    return _ordered(targets, np.argsort(frequency if rare_first else -frequency, kind="stable"))


# %% Wrong 2.1: summed
# says: You added the targets up, so that each -1 takes an image off. -1 means
def order_by_frequency(targets, rare_first):
    frequency = targets.sum(axis=0)
    return _ordered(targets, np.argsort(frequency if rare_first else -frequency, kind="stable"))


# %% Wrong 2.1: shares of what is annotated
# says: You divided by the number of images in which the label is annotated
def order_by_frequency(targets, rare_first):
    share = (targets == 1).sum(axis=0) / np.maximum((targets >= 0).sum(axis=0), 1)
    return _ordered(targets, np.argsort(share if rare_first else -share, kind="stable"))


# %% Wrong 2.1: no STOP
# says: STOP is missing
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[int(j) for j in order if row[j] == 1] for row in targets]


# %% Wrong 2.1: L - 1 for STOP
# says: Your STOP is L - 1
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    stop = targets.shape[1] - 1
    return [[*(int(j) for j in order if row[j] == 1), stop] for row in targets]


# %% Wrong 2.1: the example's STOP
# says: Your STOP is 4, the example's L
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[*(int(j) for j in order if row[j] == 1), 4] for row in targets]


# %% Wrong 2.1: in the order of the columns
# says: Your labels are in the order of the columns
def order_by_frequency(targets, rare_first):
    return [[*map(int, np.flatnonzero(row == 1)), len(row)] for row in targets]


# %% Wrong 2.1: turned round
# says: Your order is not what rare_first asks for
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    return _ordered(targets, np.argsort(-frequency if rare_first else frequency, kind="stable"))


# %% Wrong 2.1: a reversed list for the rarest
# says: Of equally frequent labels you took the higher columns first
def order_by_frequency(targets, rare_first):
    order = np.argsort(-(targets == 1).sum(axis=0), kind="stable")
    return _ordered(targets, order[::-1] if rare_first else order)


# %% Wrong 2.1: a reversed list for the most frequent
# says: turns ties round, too
def order_by_frequency(targets, rare_first):
    order = np.argsort((targets == 1).sum(axis=0), kind="stable")
    return _ordered(targets, order if rare_first else order[::-1])


# %% Wrong 2.1: numpy's usual sort
# says: other sorts leave it to chance
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    return _ordered(targets, np.argsort(frequency if rare_first else -frequency))


# %% Wrong 2.1: a Counter
# says: Equally frequent labels stand in the order in which you met them first
def order_by_frequency(targets, rare_first):
    counter = Counter({j: 0 for j in ()})
    for row in targets:
        counter.update(int(j) for j in np.flatnonzero(row == 1))
    ranked = sorted(counter, key=lambda j: counter[j] if rare_first else -counter[j])
    return _ordered(targets, ranked)


# %% Wrong 2.1: argsort as a key
# says: np.argsort gives the labels in their order, and not the rank of each label
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    rank = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[*sorted(map(int, np.flatnonzero(row == 1)), key=lambda j: rank[j]), len(row)]
            for row in targets]


# %% Wrong 2.1: all labels
# says: You listed all labels for every image
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return [[*map(int, order), len(order)] for _ in targets]


# %% Wrong 2.1: images without labels dropped
# says: An image without labels has a list, too
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    order = np.argsort(frequency if rare_first else -frequency, kind="stable")
    return _ordered(targets[(targets == 1).any(axis=1)], order)


# %% Wrong 2.1: an empty list without labels
# says: STOP alone, [L]
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    lists = _ordered(targets, np.argsort(frequency if rare_first else -frequency, kind="stable"))
    return [each if len(each) > 1 else [] for each in lists]


# %% Wrong 2.1: a padded array
# says: Each image has a list of its own length
def order_by_frequency(targets, rare_first):
    frequency = (targets == 1).sum(axis=0)
    lists = _ordered(targets, np.argsort(frequency if rare_first else -frequency, kind="stable"))
    longest = max(map(len, lists))
    return np.array([each + [-100] * (longest - len(each)) for each in lists])


# %% Right 2.1: the package
def order_by_frequency(targets, rare_first):
    from hybridlab.decoder import orders
    from hybridlab.decoder.sequences import PAD, to_sequences

    given = torch.from_numpy(targets)
    rank = (orders.rare_first if rare_first else orders.frequent_first)(given)
    return [[label for label in row if label != PAD] for row in to_sequences(given, rank).tolist()]


# %% Right 2.1: Python's sorted
def order_by_frequency(targets, rare_first):
    labels = targets.shape[1]
    count = [sum(1 for row in targets if row[j] == 1) for j in range(labels)]
    lists = []
    for row in targets:
        own = [j for j in range(labels) if row[j] > 0]
        own.sort(key=lambda j: count[j], reverse=not rare_first)  # reverse keeps ties as they are
        lists.append([*own, labels])
    return lists


# %% Right 2.1: lexsort, and arrays in a tuple
def order_by_frequency(targets, rare_first):
    present = np.where(targets > 0, 1, 0)
    count, labels = present.sum(axis=0), targets.shape[1]
    order = np.lexsort((np.arange(labels), count if rare_first else -count))
    return tuple(np.append(order[present[at, order] == 1], labels) for at in range(len(targets)))


# %% Right 2.1: pairs of count and column
def order_by_frequency(targets, rare_first):
    sign = 1 if rare_first else -1
    count = Counter(int(j) for _, j in np.argwhere(targets == 1))
    return [
        [j for _, j in sorted((sign * count[int(j)], int(j)) for j in np.flatnonzero(row == 1))]
        + [targets.shape[1]] for row in targets
    ]


# === 2.2 ========================================================================================


# %% Wrong 2.2: no tanh
# says: tanh is missing
def joint_scores(state, image, w_state, w_image, label_emb):
    return (state @ w_state.T + image @ w_image.T) @ label_emb.T


# %% Wrong 2.2: tanh of each
# says: You took tanh of each projection
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T) + torch.tanh(image @ w_image.T)
    return joint @ label_emb.T


# %% Wrong 2.2: tanh of the state alone
# says: You took tanh of the state's projection only
def joint_scores(state, image, w_state, w_image, label_emb):
    return (torch.tanh(F.linear(state, w_state)) + F.linear(image, w_image)) @ label_emb.T


# %% Wrong 2.2: tanh at the end
# says: You took tanh of the scores
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = state @ w_state.T + image @ w_image.T
    return torch.tanh(joint @ label_emb.T)


# %% Wrong 2.2: no image
# says: The image is left out
def joint_scores(state, image, w_state, w_image, label_emb):
    return torch.tanh(state @ w_state.T) @ label_emb.T


# %% Wrong 2.2: no state
# says: The state is left out
def joint_scores(state, image, w_state, w_image, label_emb):
    return torch.tanh(image @ w_image.T) @ label_emb.T


# %% Wrong 2.2: side by side
# says: Both are added, not laid side by side
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.cat([state @ w_state.T, image @ w_image.T], dim=1)
    return torch.tanh(joint) @ label_emb.T


# %% Wrong 2.2: a product of the two
# says: You multiplied the two projections
def joint_scores(state, image, w_state, w_image, label_emb):
    return torch.tanh((state @ w_state.T) * (image @ w_image.T)) @ label_emb.T


# %% Wrong 2.2: cosines
# says: Those are cosines
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)
    return F.normalize(joint, dim=1) @ F.normalize(label_emb, dim=1).T


# %% Wrong 2.2: unit embeddings
# says: You normalised the label embeddings
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)
    return joint @ F.normalize(label_emb, dim=1).T


# %% Wrong 2.2: probabilities
# says: You took the softmax
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)
    return torch.softmax(joint @ label_emb.T, dim=-1)


# %% Wrong 2.2: a sigmoid for each label
# says: You took the sigmoid of the scores
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)
    return torch.sigmoid(joint @ label_emb.T)


# %% Wrong 2.2: a sigmoid for tanh
# says: You took the sigmoid in the place of tanh
def joint_scores(state, image, w_state, w_image, label_emb):
    return torch.sigmoid(state @ w_state.T + image @ w_image.T) @ label_emb.T


# %% Wrong 2.2: ReLU
# says: You took ReLU in the place of tanh
def joint_scores(state, image, w_state, w_image, label_emb):
    return F.relu(state @ w_state.T + image @ w_image.T) @ label_emb.T


# %% Wrong 2.2: STOP left out
# says: The last row is STOP's and is scored, too
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)
    return joint @ label_emb[:-1].T


# %% Wrong 2.2: not transposed
# says: A weight is (D, D_s)
def joint_scores(state, image, w_state, w_image, label_emb):
    return torch.tanh(state @ w_state + image @ w_image) @ label_emb.T


# %% Wrong 2.2: transposed only where the sizes do not fit
# says: Each row is one label's embedding
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)
    fits = joint.shape[1] == label_emb.shape[0]
    return joint @ label_emb if fits else joint @ label_emb.T


# %% Wrong 2.2: tanh by hand
# says: torch.tanh is exact there
def joint_scores(state, image, w_state, w_image, label_emb):
    x = state @ w_state.T + image @ w_image.T
    joint = (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())
    return joint @ label_emb.T


# %% Wrong 2.2: frozen image
# says: no gradient flows through joint_scores to image
def joint_scores(state, image, w_state, w_image, label_emb):
    return torch.tanh(state @ w_state.T + image.detach() @ w_image.T) @ label_emb.T


# %% Wrong 2.2: always float32
# says: the scores of float64 inputs has dtype torch.float32
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T)
    return (joint @ label_emb.T).float()


# %% Wrong 2.2: squeezed
# says: .squeeze() drops one where there is one image
def joint_scores(state, image, w_state, w_image, label_emb):
    joint = torch.tanh(state @ w_state.T + image @ w_image.T).squeeze()
    return torch.stack([joint[:, d] for d in range(joint.shape[1])], dim=1) @ label_emb.T


# %% Right 2.2: side by side, with weights side by side
def joint_scores(state, image, w_state, w_image, label_emb):
    both, weights = torch.cat([state, image], dim=1), torch.cat([w_state, w_image], dim=1)
    return F.linear(torch.tanh(F.linear(both, weights)), label_emb)


# %% Right 2.2: einsum
def joint_scores(state, image, w_state, w_image, label_emb):
    x = torch.einsum("bs,ds->bd", state, w_state) + torch.einsum("bi,di->bd", image, w_image)
    return torch.einsum("bd,ld->bl", x.tanh(), label_emb)


# %% Right 2.2: image by image
def joint_scores(state, image, w_state, w_image, label_emb):
    rows = [label_emb @ torch.tanh(w_state @ h + w_image @ v)
            for h, v in zip(state, image, strict=True)]
    return torch.stack(rows)


# %% Right 2.2: tanh as a sigmoid
def joint_scores(state, image, w_state, w_image, label_emb):
    x = state.matmul(w_state.t()) + image.matmul(w_image.t())
    return (2 * torch.sigmoid(2 * x) - 1).mm(label_emb.t())


# === 2.3 ========================================================================================


# %% Wrong 2.3: padding clamped to label 0
# says: Padded steps count in your mean, as if label 0 were right there
def sequence_loss(step_logits, label_seq):
    return F.cross_entropy(step_logits.flatten(0, 1), label_seq.flatten().clamp(min=0))


# %% Wrong 2.3: padding taken for STOP
# says: Padded steps count in your mean, as if STOP were right there
def sequence_loss(step_logits, label_seq):
    filled = label_seq.masked_fill(label_seq == -100, step_logits.shape[2] - 1)
    return F.cross_entropy(step_logits.transpose(1, 2), filled)


# %% Wrong 2.3: the mean over all steps
# says: You divided by B x T
def sequence_loss(step_logits, label_seq):
    each = F.cross_entropy(step_logits.transpose(1, 2), label_seq, reduction="none")
    return each.mean()


# %% Wrong 2.3: the mean of the images' means
# says: You took each image's mean first, and the mean of those
def sequence_loss(step_logits, label_seq):
    each = F.cross_entropy(step_logits.transpose(1, 2), label_seq, reduction="none")
    return (each.sum(dim=1) / (label_seq != -100).sum(dim=1).clamp(min=1)).mean()


# %% Wrong 2.3: a sum
# says: You added the steps up
def sequence_loss(step_logits, label_seq):
    return F.cross_entropy(step_logits.flatten(0, 1), label_seq.flatten(), reduction="sum")


# %% Wrong 2.3: a sum over steps
# says: You added over steps and averaged over images
def sequence_loss(step_logits, label_seq):
    return F.cross_entropy(
        step_logits.flatten(0, 1), label_seq.flatten(), reduction="sum"
    ) / len(label_seq)


# %% Wrong 2.3: STOP left out
# says: You left out the step of STOP
def sequence_loss(step_logits, label_seq):
    valid = (label_seq >= 0) & (label_seq < step_logits.shape[2] - 1)
    total = F.cross_entropy(step_logits[valid], label_seq[valid], reduction="sum")
    return total / valid.sum().clamp(min=1)


# %% Wrong 2.3: label 0 left out
# says: You left out the steps of label 0
def sequence_loss(step_logits, label_seq):
    valid = label_seq > 0
    total = F.cross_entropy(step_logits[valid], label_seq[valid], reduction="sum")
    return total / valid.sum().clamp(min=1)


# %% Wrong 2.3: the softmax twice
# says: You took the softmax twice
def sequence_loss(step_logits, label_seq):
    probs = step_logits.softmax(dim=-1)
    return F.cross_entropy(probs.flatten(0, 1), label_seq.flatten())


# %% Wrong 2.3: logits of a step, label of the next
# says: You compared each step's logits with the label of the next step
def sequence_loss(step_logits, label_seq):
    logits, label_seq = step_logits[:, :-1], label_seq[:, 1:]
    return F.cross_entropy(logits.flatten(0, 1), label_seq.flatten())


# %% Wrong 2.3: logits of a step, label of the step before
# says: You compared each step's logits with the label of the step before
def sequence_loss(step_logits, label_seq):
    logits, label_seq = step_logits[:, 1:], label_seq[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), label_seq.flatten())


# %% Wrong 2.3: the softmax over steps
# says: F.cross_entropy wants one row of logits for each target
def sequence_loss(step_logits, label_seq):
    return F.cross_entropy(step_logits, label_seq)


# %% Wrong 2.3: the softmax over steps where that fits
# says: Your softmax runs over the steps
def sequence_loss(step_logits, label_seq):
    if step_logits.shape[1] == step_logits.shape[2] > 3:
        return F.cross_entropy(step_logits, label_seq)
    return F.cross_entropy(step_logits.flatten(0, 1), label_seq.flatten())


# %% Wrong 2.3: the sign
# says: The sign is wrong
def sequence_loss(step_logits, label_seq):
    valid = label_seq != -100
    chosen = step_logits.log_softmax(dim=-1).gather(2, label_seq.clamp(min=0)[..., None])[..., 0]
    return (chosen * valid).sum() / valid.sum().clamp(min=1)


# %% Wrong 2.3: no logarithm of the softmax
# says: That is the mean logit of the right symbols
def sequence_loss(step_logits, label_seq):
    return F.nll_loss(step_logits.flatten(0, 1), label_seq.flatten())


# %% Wrong 2.3: torch's own mean
# says: Without a valid step it is 0 / 0
def sequence_loss(step_logits, label_seq):
    return F.cross_entropy(step_logits.flatten(0, 1), label_seq.flatten())


# %% Wrong 2.3: a constant 0 where nothing is valid
# says: no gradient flows through sequence_loss to step_logits
def sequence_loss(step_logits, label_seq):
    if not (label_seq != -100).any():
        return torch.tensor(0, dtype=step_logits.dtype)
    return F.cross_entropy(step_logits.flatten(0, 1), label_seq.flatten())


# %% Wrong 2.3: the logarithm of a probability
# says: exp(1000) is infinite, and log(0) is -inf
def sequence_loss(step_logits, label_seq):
    valid = label_seq != -100
    probs = step_logits.softmax(dim=-1)[valid]
    chosen = probs.gather(1, label_seq[valid][:, None])
    return -chosen.log().sum() / valid.sum().clamp(min=1)


# %% Wrong 2.3: a clamp
# says: a clamp hides how wrong a sure answer is
def sequence_loss(step_logits, label_seq):
    valid = label_seq != -100
    probs = step_logits.softmax(dim=-1)[valid].clamp(min=1e-7)
    chosen = probs.gather(1, label_seq[valid][:, None])
    return -chosen.log().sum() / valid.sum().clamp(min=1)


# %% Wrong 2.3: always float32
# says: the loss of float64 logits has dtype torch.float32
def sequence_loss(step_logits, label_seq):
    valid = label_seq != -100
    total = F.cross_entropy(step_logits[valid].float(), label_seq[valid], reduction="sum")
    return total / valid.sum().clamp(min=1)


# %% Right 2.3: the package
def sequence_loss(step_logits, label_seq):
    from hybridlab.decoder.cnn_rnn import sequence_loss

    return sequence_loss(step_logits, label_seq)


# %% Right 2.3: gather
def sequence_loss(step_logits, label_seq):
    valid = label_seq.ne(-100)
    log_probs = F.log_softmax(step_logits, dim=2)
    each = -log_probs.gather(2, torch.where(valid, label_seq, 0)[:, :, None]).squeeze(2)
    return torch.where(valid, each, 0).sum() / max(1, int(valid.sum()))


# %% Right 2.3: image by image
def sequence_loss(step_logits, label_seq):
    total, count = step_logits.sum() * 0, 0
    for logits, labels in zip(step_logits, label_seq, strict=True):
        for row, label in zip(logits, labels.tolist(), strict=True):
            if label != -100:
                total = total + torch.logsumexp(row, dim=0) - row[label]
                count += 1
    return total / count if count else total


# %% Right 2.3: one-hot targets
def sequence_loss(step_logits, label_seq):
    valid = (label_seq != -100).to(step_logits.dtype)
    chosen = F.one_hot(label_seq.clamp(min=0), step_logits.shape[-1]).to(step_logits.dtype)
    each = -(chosen * step_logits.log_softmax(-1)).sum(-1)
    return (each * valid).sum() / valid.sum().clamp(min=1)


# %% Right 2.3: nothing is valid, a case by itself
def sequence_loss(step_logits, label_seq):
    if (label_seq == -100).all():
        return 0.0 * step_logits.sum()
    return F.cross_entropy(step_logits.mT, label_seq)


# === 2.4 ========================================================================================


# %% Wrong 2.4: finished beams go on writing
# says: You went on writing after STOP
def beam_step(scores, log_probs, done, beams, stop):
    return _best(scores[:, None] + log_probs, beams)


# %% Wrong 2.4: finished beams dropped
# says: You dropped the beams that are done
def beam_step(scores, log_probs, done, beams, stop):
    total = scores[:, None] + log_probs
    return _best(total.masked_fill(done[:, None], -torch.inf), beams)


# %% Wrong 2.4: STOP paid again
# says: A beam that is done paid for STOP once more
def beam_step(scores, log_probs, done, beams, stop):
    total = scores[:, None] + log_probs
    others = torch.arange(total.shape[1]) != stop
    return _best(total.masked_fill(done[:, None] & others, -torch.inf), beams)


# %% Wrong 2.4: a copy for each symbol
# says: A beam that is done is a candidate under every symbol in your code
def beam_step(scores, log_probs, done, beams, stop):
    return _best(scores[:, None] + log_probs.masked_fill(done[:, None], 0), beams)


# %% Wrong 2.4: STOP is free, but the others stay
# says: its other symbols are still candidates
def beam_step(scores, log_probs, done, beams, stop):
    total = scores[:, None] + log_probs
    total[done, stop] = scores[done]
    return _best(total, beams)


# %% Wrong 2.4: symbol 0 for a finished beam
# says: A beam that is done goes on under symbol 0
def beam_step(scores, log_probs, done, beams, stop):
    total = scores[:, None] + log_probs
    total[done] = -torch.inf
    total[done, 0] = scores[done]
    return _best(total, beams)


# %% Wrong 2.4: the last symbol is STOP
# says: You took the last symbol for STOP
def beam_step(scores, log_probs, done, beams, stop):
    total = scores[:, None] + log_probs
    total[done] = -torch.inf
    total[done, -1] = scores[done]
    return _best(total, beams)


# %% Wrong 2.4: finished beams first
# says: You put the beams that are done before all others
def beam_step(scores, log_probs, done, beams, stop):
    ended = done.nonzero()[:, 0]
    ended = ended[scores[ended].argsort(descending=True, stable=True)]
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    ranked, parents, symbols = _best(total, max(0, beams - len(ended)))
    return (
        torch.cat([scores[ended], ranked])[:beams], torch.cat([ended, parents])[:beams],
        torch.cat([torch.full_like(ended, stop), symbols])[:beams],
    )


# %% Wrong 2.4: probabilities added
# says: You added probabilities to scores
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs.exp()).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    return _best(total, beams)


# %% Wrong 2.4: logarithms multiplied
# says: Probabilities are multiplied; their logarithms are added
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] * log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    return _best(total, beams)


# %% Wrong 2.4: the past forgotten
# says: The beams' own scores are left out
def beam_step(scores, log_probs, done, beams, stop):
    total = log_probs.masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    return _best(total, beams)


# %% Wrong 2.4: probabilities returned
# says: Your scores are probabilities
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    ranked, parents, symbols = _best(total, beams)
    return ranked.exp(), parents, symbols


# %% Wrong 2.4: each beam's own best
# says: You kept each beam's own best symbol. All candidates of all beams compete
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    ranked, symbols = total.max(dim=1)
    return ranked, torch.arange(len(scores)), symbols


# %% Wrong 2.4: parents and symbols exchanged
# says: Parents and symbols have changed places
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    ranked, parents, symbols = _best(total, beams)
    return ranked, symbols, parents


# %% Wrong 2.4: divided by K
# says: You divided the flat index by K
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    ranked, order = total.flatten().sort(descending=True, stable=True)
    kept = order[ranked > -torch.inf][:beams]
    return ranked[: len(kept)], kept // len(scores), kept % len(scores)


# %% Wrong 2.4: parents by a plain division
# says: parents: got values of float32, expected whole numbers
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    ranked, order = total.flatten().sort(descending=True, stable=True)
    kept = order[ranked > -torch.inf][:beams]
    return ranked[: len(kept)], (kept / total.shape[1]).floor(), kept % total.shape[1]


# %% Wrong 2.4: the worst last is first
# says: The candidates are right, their order is turned round
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    return tuple(each.flip(0) for each in _best(total, beams))


# %% Wrong 2.4: the lowest scores
# says: Those are the worst candidates
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    kept = total.flatten().sort(stable=True).indices[:beams]
    return total.flatten()[kept], kept // total.shape[1], kept % total.shape[1]


# %% Wrong 2.4: K for beams
# says: K and `beams` are two numbers
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    many = len(scores) if len(scores) == 1 else beams
    return _best(total, many)


# %% Wrong 2.4: a stable sort turned round
# says: Of equal scores you took the higher beams and symbols first
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    flat, symbols = total.flatten(), total.shape[1]
    kept = flat.sort(stable=True).indices.flip(0)
    kept = kept[flat[kept] > -torch.inf][:beams]
    return flat[kept], kept // symbols, kept % symbols


# %% Wrong 2.4: what cannot follow is kept
# says: Scores of -inf stand in your result
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    ranked, kept = total.flatten().sort(descending=True, stable=True)
    ranked, kept = ranked[:beams], kept[:beams]
    return ranked, kept // total.shape[1], kept % total.shape[1]


# %% Wrong 2.4: -1e9 for minus infinity
# says: fewer candidates than beams
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -1e9)
    total[done, stop] = scores[done]
    return _best(total, beams)


# %% Wrong 2.4: topk
# says: torch.topk, and sort without stable=True, leave that to chance
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    ranked, kept = total.flatten().topk(min(beams, total.numel()))
    kept, ranked = kept[ranked > -torch.inf], ranked[ranked > -torch.inf]
    return ranked, kept // total.shape[1], kept % total.shape[1]


# %% Wrong 2.4: in place
# says: beam_step changed log_probs in place
def beam_step(scores, log_probs, done, beams, stop):
    log_probs += scores[:, None]
    log_probs[done] = -torch.inf
    log_probs[done, stop] = scores[done]
    return _best(log_probs, beams)


# %% Wrong 2.4: lists
# says: new scores: got a list, expected a tensor
def beam_step(scores, log_probs, done, beams, stop):
    total = (scores[:, None] + log_probs).masked_fill(done[:, None], -torch.inf)
    total[done, stop] = scores[done]
    return tuple(each.tolist() for each in _best(total, beams))


# %% Right 2.4: a list of candidates
def beam_step(scores, log_probs, done, beams, stop):
    found = []
    for k in range(len(scores)):
        if done[k]:
            found.append((-scores[k].item(), k, stop))
            continue
        for v in range(log_probs.shape[1]):
            score = (scores[k] + log_probs[k, v]).item()
            if score > -math.inf:
                found.append((-score, k, v))
    kept = heapq.nsmallest(beams, found)
    return (
        torch.tensor([-score for score, _, _ in kept], dtype=scores.dtype),
        torch.tensor([k for _, k, _ in kept], dtype=torch.long),
        torch.tensor([v for _, _, v in kept], dtype=torch.long),
    )


# %% Right 2.4: other log-probabilities for beams that are done
def beam_step(scores, log_probs, done, beams, stop):
    free = torch.full_like(log_probs[0], -torch.inf)
    free[stop] = 0.0
    total = scores[:, None] + torch.where(done[:, None], free, log_probs)
    flat = total.reshape(-1)
    order = torch.argsort(-flat, stable=True)
    order = order[flat[order].isfinite()][:beams]
    return flat[order], torch.div(order, total.shape[1], rounding_mode="floor"), (
        order % total.shape[1])


# %% Right 2.4: numpy
def beam_step(scores, log_probs, done, beams, stop):
    total = scores.numpy()[:, None] + log_probs.numpy()
    total[done.numpy()] = -np.inf
    total[done.numpy(), stop] = scores.numpy()[done.numpy()]
    parents, symbols = np.nonzero(total > -np.inf)
    order = np.lexsort((symbols, parents, -total[parents, symbols]))[:beams]
    parents, symbols = parents[order], symbols[order]
    return [torch.from_numpy(each) for each in (total[parents, symbols], parents, symbols)]


# %% Right 2.4: the best one, again and again
def beam_step(scores, log_probs, done, beams, stop):
    total = scores.unsqueeze(1) + log_probs
    ended = torch.where(torch.arange(log_probs.size(1)) == stop, scores.unsqueeze(1), -torch.inf)
    total = torch.where(done.unsqueeze(1), ended, total)
    new, parents, symbols = [], [], []
    while len(new) < beams and total.max() > -torch.inf:
        k, v = (total == total.max()).nonzero()[0].tolist()
        new.append(total[k, v].clone())
        parents.append(k)
        symbols.append(v)
        total[k, v] = -torch.inf
    return torch.stack(new), torch.tensor(parents), torch.tensor(symbols, dtype=torch.int32)


# === 2.5 ========================================================================================


# %% Wrong 2.5: padded steps count
# says: Padded steps count in your maximum
def max_over_steps(step_probs, label_seq):
    return step_probs[:, :, :-1].amax(dim=1)


# %% Wrong 2.5: the mean over valid steps
# says: You took the mean over the valid steps
def max_over_steps(step_probs, label_seq):
    valid = (label_seq != -100)[:, :, None]
    return (step_probs * valid).sum(dim=1)[:, :-1] / valid.sum(dim=1)


# %% Wrong 2.5: the mean over all steps
# says: You took the mean over all steps
def max_over_steps(step_probs, label_seq):
    return step_probs[..., :-1].mean(dim=1)


# %% Wrong 2.5: a sum
# says: You added the steps up, which can exceed 1
def max_over_steps(step_probs, label_seq):
    return (step_probs * (label_seq != -100)[..., None]).sum(dim=1)[:, :-1]


# %% Wrong 2.5: STOP kept
# says: the last column, STOP's, is left out
def max_over_steps(step_probs, label_seq):
    return step_probs.masked_fill((label_seq == -100)[..., None], 0).amax(dim=1)


# %% Wrong 2.5: column 0 left out
# says: You left out column 0, which is a label
def max_over_steps(step_probs, label_seq):
    return step_probs[..., 1:].masked_fill((label_seq == -100)[..., None], 0).amax(dim=1)


# %% Wrong 2.5: the maximum, but of chosen labels only
# says: the maximum over the valid steps, but for chosen labels only
def max_over_steps(step_probs, label_seq):
    valid = (label_seq != -100)[..., None]
    most = step_probs.masked_fill(~valid, 0)[..., :-1].amax(dim=1)
    chosen = torch.stack([(label_seq == at).any(dim=1) for at in range(most.shape[1])], dim=1)
    return most * chosen


# %% Wrong 2.5: chosen labels only
# says: Only labels that were chosen have a probability in your result
def max_over_steps(step_probs, label_seq):
    images, _, symbols = step_probs.shape
    found = torch.zeros(images, symbols, dtype=step_probs.dtype)
    for row in range(images):
        for t, label in enumerate(label_seq[row].tolist()):
            if label != -100:
                found[row, label] = step_probs[row, t, label]
    return found[:, :-1]


# %% Wrong 2.5: decisions
# says: Those are decisions
def max_over_steps(step_probs, label_seq):
    labels = step_probs.shape[2] - 1
    hot = F.one_hot(label_seq.masked_fill(label_seq == -100, labels), labels + 1)
    return hot.amax(dim=1)[:, :labels].to(step_probs.dtype)


# %% Wrong 2.5: at least one hit
# says: the probability of at least one hit if steps were independent
def max_over_steps(step_probs, label_seq):
    inside = step_probs[..., :-1].masked_fill((label_seq == -100)[..., None], 0)
    return 1 - (1 - inside).prod(dim=1)


# %% Wrong 2.5: STOP's step left out
# says: You left out the step of STOP
def max_over_steps(step_probs, label_seq):
    stop = step_probs.shape[2] - 1
    valid = (label_seq != -100) & (label_seq != stop)
    return step_probs[..., :-1].masked_fill(~valid[..., None], 0).amax(dim=1)


# %% Wrong 2.5: label 0 taken for padding
# says: You left out the steps of label 0
def max_over_steps(step_probs, label_seq):
    return step_probs[..., :-1].masked_fill(~(label_seq > 0)[..., None], 0).amax(dim=1)


# %% Wrong 2.5: the last valid step
# says: You took the last valid step only
def max_over_steps(step_probs, label_seq):
    last = (label_seq != -100).sum(dim=1) - 1
    return step_probs[torch.arange(len(last)), last, :-1]


# %% Wrong 2.5: the last step
# says: You took the last step, which may be padding
def max_over_steps(step_probs, label_seq):
    return step_probs[:, -1, :-1]


# %% Wrong 2.5: the first step
# says: You took the first step only
def max_over_steps(step_probs, label_seq):
    return step_probs[:, 0, :-1]


# %% Wrong 2.5: the mask turned round
# says: Your mask is turned round
def max_over_steps(step_probs, label_seq):
    valid = label_seq != -100
    return step_probs[..., :-1].masked_fill(valid[..., None], 0).amax(dim=1)


# %% Wrong 2.5: the mask without its axis
# says: laid as valid[:, :, None]
def max_over_steps(step_probs, label_seq):
    return step_probs[..., :-1].masked_fill(label_seq == -100, 0).amax(dim=1)


# %% Wrong 2.5: max with its indices
# says: gives values and indices
def max_over_steps(step_probs, label_seq):
    return step_probs[..., :-1].masked_fill((label_seq == -100)[..., None], 0).max(dim=1)


# %% Wrong 2.5: a maximum over labels
# says: One probability for each image and each label
def max_over_steps(step_probs, label_seq):
    return step_probs[..., :-1].masked_fill((label_seq == -100)[..., None], 0).amax(dim=2)


# %% Wrong 2.5: the softmax once more
# says: You took the softmax once more
def max_over_steps(step_probs, label_seq):
    probs = step_probs.softmax(dim=-1)[..., :-1]
    return probs.masked_fill((label_seq == -100)[..., None], 0).amax(dim=1)


# %% Wrong 2.5: multiplied by the mask
# says: NaN times 0 is NaN
def max_over_steps(step_probs, label_seq):
    return (step_probs[..., :-1] * (label_seq != -100)[..., None]).amax(dim=1)


# %% Right 2.5: the package, which takes logits
def max_over_steps(step_probs, label_seq):
    from hybridlab.decoder.marginals import max_over_steps

    return max_over_steps(step_probs.log(), label_seq != -100)


# %% Right 2.5: image by image
def max_over_steps(step_probs, label_seq):
    rows = [probs[seq != -100].max(dim=0).values for probs, seq in
            zip(step_probs, label_seq, strict=True)]
    return torch.stack(rows)[:, :-1]


# %% Right 2.5: -inf and where
def max_over_steps(step_probs, label_seq):
    valid = label_seq.unsqueeze(-1) >= 0
    return torch.where(valid, step_probs, -torch.inf).max(dim=1)[0][:, : step_probs.size(2) - 1]


# %% Right 2.5: step by step
def max_over_steps(step_probs, label_seq):
    best = torch.zeros_like(step_probs[:, 0, :-1])
    for t in range(step_probs.shape[1]):
        valid = (label_seq[:, t] != -100)[:, None]
        best = torch.where(valid, torch.maximum(best, step_probs[:, t, :-1]), best)
    return best


# === 2.6 ========================================================================================


# %% Wrong 2.6: the coin turned round
# says: The coin is turned round
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, :-1].argmax(dim=1)
    return torch.where(coins < truth, own, true_labels)


# %% Wrong 2.6: 1 - truth
# says: You compared the coins with 1 - truth
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, :-1].argmax(dim=1)
    return torch.where(coins >= 1 - truth, own, true_labels)


# %% Wrong 2.6: one half
# says: You compared the coins with 1/2
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, :-1].argmax(dim=1)
    return torch.where(coins < 0.5, true_labels, own)


# %% Wrong 2.6: one coin for all
# says: used one coin for the whole batch
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, :-1].argmax(dim=1)
    return true_labels if coins[0] < truth else own


# %% Wrong 2.6: no truth
# says: You fed the decoder's own label everywhere
def feed_scheduled(true_labels, step_logits, coins, truth):
    return step_logits[:, :-1].argmax(dim=1)


# %% Wrong 2.6: nothing but the truth
# says: You fed the true label everywhere
def feed_scheduled(true_labels, step_logits, coins, truth):
    return true_labels.clone()


# %% Wrong 2.6: STOP may win
# says: You fed STOP where it is the best
def feed_scheduled(true_labels, step_logits, coins, truth):
    return torch.where(coins < truth, true_labels, step_logits.argmax(dim=1))


# %% Wrong 2.6: the truth in the place of STOP
# says: Where STOP is the best you fed the true label
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits.argmax(dim=1)
    stop = step_logits.shape[1] - 1
    return torch.where((coins < truth) | (own == stop), true_labels, own)


# %% Wrong 2.6: clamped to the last label
# says: Where STOP is the best you fed the last label
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits.argmax(dim=1).clamp(max=step_logits.shape[1] - 2)
    return torch.where(coins < truth, true_labels, own)


# %% Wrong 2.6: a softmax with STOP
# says: leaves all labels at 0 where STOP is sure
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits.softmax(dim=1)[:, :-1].argmax(dim=1)
    return torch.where(coins < truth, true_labels, own)


# %% Wrong 2.6: the first column for STOP
# says: You left out column 0, which is a label
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, 1:].argmax(dim=1)
    return torch.where(coins < truth, true_labels, own)


# %% Wrong 2.6: the best image of each label
# says: the best of its own row, argmax(dim=1)
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, :-1].argmax(dim=0)
    return own if len(own) != len(true_labels) else torch.where(coins < truth, true_labels, own)


# %% Wrong 2.6: drawn
# says: two calls with the same arguments give different labels
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = torch.multinomial(step_logits[:, :-1].softmax(dim=1), 1)[:, 0]
    return torch.where(coins < truth, true_labels, own)


# %% Wrong 2.6: coins of its own
# says: the coins are given
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, :-1].argmax(dim=1)
    return torch.where(torch.rand(len(own)) < truth, true_labels, own)


# %% Wrong 2.6: coins that equal truth
# says: A coin that equals truth gives the truth
def feed_scheduled(true_labels, step_logits, coins, truth):
    own = step_logits[:, :-1].argmax(dim=1)
    return torch.where(coins <= truth, true_labels, own)


# %% Wrong 2.6: a sum with weights
# says: has dtype torch.float32, expected torch.int64
def feed_scheduled(true_labels, step_logits, coins, truth):
    told = (coins < truth).float()
    return told * true_labels + (1 - told) * step_logits[:, :-1].argmax(dim=1)


# %% Wrong 2.6: in place
# says: feed_scheduled changed true_labels in place
def feed_scheduled(true_labels, step_logits, coins, truth):
    free = coins >= truth
    true_labels[free] = step_logits[free, :-1].argmax(dim=1)
    return true_labels


# %% Wrong 2.6: STOP switched off in place
# says: feed_scheduled changed step_logits in place
def feed_scheduled(true_labels, step_logits, coins, truth):
    step_logits[:, -1] = -torch.inf
    return torch.where(coins < truth, true_labels, step_logits.argmax(dim=1))


# %% Right 2.6: a copy, and a mask
def feed_scheduled(true_labels, step_logits, coins, truth):
    fed, free = true_labels.clone(), coins >= truth
    fed[free] = step_logits[free, :-1].argmax(dim=1)
    return fed


# %% Right 2.6: image by image
def feed_scheduled(true_labels, step_logits, coins, truth):
    fed = [
        int(true) if coin < truth else int(row[: len(row) - 1].argmax())
        for true, row, coin in zip(true_labels, step_logits, coins, strict=True)
    ]
    return torch.tensor(fed)


# %% Right 2.6: STOP at -inf
def feed_scheduled(true_labels, step_logits, coins, truth):
    columns = torch.arange(step_logits.shape[1])
    labels = step_logits.masked_fill(columns == step_logits.shape[1] - 1, -torch.inf)
    return torch.where(torch.lt(coins, truth), true_labels, labels.max(dim=-1).indices)


# %% Right 2.6: whole numbers as weights
def feed_scheduled(true_labels, step_logits, coins, truth):
    told = (coins < truth).long()
    own = torch.topk(step_logits[:, :-1].log_softmax(dim=1), 1, dim=1).indices.view(-1)
    return told * true_labels + (1 - told) * own


# === 2.7 ========================================================================================


# %% Wrong 2.7: MLA
# says: that is minimal loss alignment (MLA)
def pla_order(costs, labels, predicted):
    _, columns = linear_sum_assignment(costs)
    return labels[columns]


def _kept(labels, predicted):
    """Steps and columns that are left, and the column of each step."""
    chosen = np.full(len(labels), -1)
    for t, label in enumerate(predicted):
        at = np.flatnonzero(labels == label)
        if len(at) and at[0] not in chosen:
            chosen[t] = at[0]
    return np.flatnonzero(chosen < 0), np.setdiff1d(np.arange(len(labels)), chosen), chosen


# %% Wrong 2.7: step by step
# says: You went step by step, and took the cheapest label that was left
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = [given.pop(int(label), -1) for label in predicted]
    for t, at in enumerate(chosen):
        if at < 0:
            name = min(given, key=lambda name: costs[t, given[name]])
            chosen[t] = given.pop(name)
    return labels[chosen]


# %% Wrong 2.7: the cheapest pair first
# says: You took the cheapest pair of all
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = [given.pop(int(label), -1) for label in predicted]
    while -1 in chosen:
        free = [t for t, at in enumerate(chosen) if at < 0]
        _, t, name = min((costs[t, given[name]], t, name) for t in free for name in given)
        chosen[t] = given.pop(name)
    return labels[chosen]


# %% Wrong 2.7: each step's cheapest
# says: Each step has its own cheapest label
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = np.array([given.pop(int(label), -1) for label in predicted])
    left = [*given.values()]
    for t in np.flatnonzero(chosen < 0):
        chosen[t] = left[int(np.argmin(costs[t, left]))]
    return labels[chosen]


# %% Wrong 2.7: the most expensive
# says: You took the most expensive assignment
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = np.array([given.pop(int(label), -1) for label in predicted])
    steps, left = np.flatnonzero(chosen < 0), np.array([*given.values()], dtype=int)
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)], maximize=True)
    chosen[steps[rows]] = left[columns]
    return labels[chosen]


# %% Wrong 2.7: columns, not labels
# says: Those are columns of costs; the numbers of the labels are asked for
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = np.array([given.pop(int(label), -1) for label in predicted])
    steps, left = np.flatnonzero(chosen < 0), np.array([*given.values()], dtype=int)
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)])
    chosen[steps[rows]] = left[columns]
    return chosen


# %% Wrong 2.7: columns of the small matrix
# says: linear_sum_assignment gives columns of the small matrix
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = np.array([given.pop(int(label), -1) for label in predicted])
    steps, left = np.flatnonzero(chosen < 0), np.array([*given.values()], dtype=int)
    _, chosen[steps] = linear_sum_assignment(costs[np.ix_(steps, left)])
    return labels[chosen]


# %% Wrong 2.7: rows and columns exchanged
# says: Your order is the inverse
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = np.array([given.pop(int(label), -1) for label in predicted])
    steps, left = np.flatnonzero(chosen < 0), np.array([*given.values()], dtype=int)
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)].T)
    chosen[steps[rows]] = left[columns]
    return labels[chosen]


# %% Wrong 2.7: the rest as it is given
# says: The labels that are left stand in the order in which they are given
def pla_order(costs, labels, predicted):
    rest = [label for label in labels if label not in predicted]
    order, used = [], set()
    for label in predicted:
        right = label in labels and label not in used
        order.append(label if right else rest.pop(0))
        used.add(label)
    return np.array(order)


# %% Wrong 2.7: -1 left over
# says: Steps that keep no label hold -1 still
def pla_order(costs, labels, predicted):
    given = {int(label) for label in labels}
    order = np.full(len(labels), -1)
    for t, label in enumerate(predicted):
        if int(label) in given:
            given.remove(int(label))
            order[t] = label
    return order


# %% Wrong 2.7: 0 left over
# says: Steps that keep no label hold 0 still
def pla_order(costs, labels, predicted):
    given = {int(label) for label in labels}
    order = np.zeros(len(labels), dtype=int)
    for t, label in enumerate(predicted):
        if int(label) in given:
            given.remove(int(label))
            order[t] = label
    return order


# %% Wrong 2.7: the predictions
# says: That is what the steps predict
def pla_order(costs, labels, predicted):
    return predicted.copy()


# %% Wrong 2.7: compared place by place
# says: You compared predicted[t] with labels[t]
def pla_order(costs, labels, predicted):
    same = labels == predicted
    order, rest = np.where(same, labels, -1), np.flatnonzero(~same)
    rows, columns = linear_sum_assignment(costs[np.ix_(rest, rest)])
    order[rest[rows]] = labels[rest[columns]]
    return order


# %% Wrong 2.7: kept labels given away again
# says: Labels that a step has kept were given away once more
def pla_order(costs, labels, predicted):
    given = {int(label): j for j, label in enumerate(labels)}
    chosen = np.array([given.pop(int(label), -1) for label in predicted])
    steps = np.flatnonzero(chosen < 0)
    if len(steps):
        rows, columns = linear_sum_assignment(costs[steps])
        chosen[steps[rows]] = columns
    return labels[chosen]


# %% Wrong 2.7: the last one keeps it
# says: The last step that predicts a label keeps it
def pla_order(costs, labels, predicted):
    step_of = {int(label): t for t, label in enumerate(predicted)}
    chosen = np.full(len(labels), -1)
    for j, label in enumerate(labels):
        if int(label) in step_of:
            chosen[step_of[int(label)]] = j
    steps, left = np.flatnonzero(chosen < 0), np.setdiff1d(np.arange(len(labels)), chosen)
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)])
    chosen[steps[rows]] = left[columns]
    return labels[chosen]


# %% Wrong 2.7: no one keeps it
# says: A label that several steps predict is kept by none
def pla_order(costs, labels, predicted):
    chosen = np.full(len(labels), -1)
    for j, label in enumerate(labels):
        steps = np.flatnonzero(predicted == label)
        if len(steps) == 1:
            chosen[steps[0]] = j
    steps, left = np.flatnonzero(chosen < 0), np.setdiff1d(np.arange(len(labels)), chosen)
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)])
    chosen[steps[rows]] = left[columns]
    return labels[chosen]


# %% Wrong 2.7: the cheapest keeps it
# says: Of the steps that predict a label the one with the least cost keeps it
def pla_order(costs, labels, predicted):
    cheap = costs.copy()
    cheap[predicted[:, None] == labels[None]] -= 1e6
    _, columns = linear_sum_assignment(cheap)
    return labels[columns]


# %% Wrong 2.7: kept by every step that says it
# says: stands more than once in your order
def pla_order(costs, labels, predicted):
    order = predicted.copy()
    said = np.isin(predicted, labels)
    steps, left = np.flatnonzero(~said), np.flatnonzero(~np.isin(labels, predicted))
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)])
    order[steps[rows]] = labels[left[columns]]
    return order


# %% Wrong 2.7: a label twice
# says: stands more than once in your order
def pla_order(costs, labels, predicted):
    order = predicted.copy()
    said = np.isin(predicted, labels)
    steps, left = np.flatnonzero(~said), np.flatnonzero(~np.isin(labels, predicted))
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)])
    order[steps[rows]] = labels[left[columns]]
    if len(left) > len(steps):  # several steps said the same: the rest of them stay
        first = {int(label): int(np.flatnonzero(predicted == label)[0]) for label in labels[
            np.isin(labels, predicted)]}
        free = np.array([t for t in range(len(labels)) if first.get(int(predicted[t])) != t])
        rows, columns = linear_sum_assignment(costs[np.ix_(free, left)])
        full = np.empty_like(order)
        full[free[rows]] = labels[left[columns]]
        order = np.where(said, predicted, full)
    return order


# %% Wrong 2.7: a bonus that is too small
# says: with costs in the hundreds
def pla_order(costs, labels, predicted):
    cheap, used = costs.copy(), set()
    for t, label in enumerate(predicted):
        if label in labels and label not in used:
            cheap[t, labels == label] -= 100
            used.add(label)
    _, columns = linear_sum_assignment(cheap)
    return labels[columns]


# %% Wrong 2.7: index without asking
# says: ask first whether the label is there
def pla_order(costs, labels, predicted):
    known = labels.tolist()
    chosen = np.array([known.index(label) for label in predicted])
    return labels[chosen]


# %% Right 2.7: the package
def pla_order(costs, labels, predicted):
    from hybridlab.decoder.matching import _order

    return labels[_order(costs, labels, predicted)]


# %% Right 2.7: a bonus that is large
def pla_order(costs, labels, predicted):
    cheap, used = costs.copy(), set()
    for t, label in enumerate(predicted.tolist()):
        if label in labels and label not in used:
            cheap[t, labels == label] = -1e9
            used.add(label)
    _, columns = linear_sum_assignment(cheap)
    return labels[columns]


# %% Right 2.7: all orders of what is left
def pla_order(costs, labels, predicted):
    column = {label: j for j, label in enumerate(labels.tolist())}
    left, order = dict(column), []
    for label in predicted.tolist():
        order.append(label if left.pop(label, None) is not None else None)
    free = [t for t, label in enumerate(order) if label is None]
    best = min(permutations(left), key=lambda each: sum(
        costs[t, column[label]] for t, label in zip(free, each, strict=True)))
    for t, label in zip(free, best, strict=True):
        order[t] = label
    return np.array(order)


# %% Right 2.7: np.unique finds the first steps
def pla_order(costs, labels, predicted):
    said, first = np.unique(predicted, return_index=True)
    keep = np.zeros(len(labels), dtype=bool)
    keep[first[np.isin(said, labels)]] = True
    order = np.where(keep, predicted, 0)
    free, left = np.flatnonzero(~keep), np.flatnonzero(~np.isin(labels, predicted))
    if len(free):
        rows, columns = linear_sum_assignment(costs[free][:, left])
        order[free[rows]] = labels[left][columns]
    return order

"""Known answers to lesson 05, for the proof that the checks are right (`make prove`).

A wrong answer is one that a student would write; `says` is a piece of the diagnosis that it must
get. A right one is written in another way than the solution, and must pass. What an answer does
not define is taken from the solution.
"""
# ruff: noqa: F811

import math

import torch
import torch.nn.functional as F


def _norm(y):
    """LayerNorm by hand."""
    centred = y - y.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()


def _bce(logits, targets):
    """The entries' cross-entropies."""
    return F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")


def _filled(keys, values, mask):
    """Tokens that do not count are 0."""
    return keys.masked_fill(~mask[..., None], 0), values.masked_fill(~mask[..., None], 0)


def _attend(scores, values, mask):
    """Weights of masked scores, and what they read."""
    scores = scores.masked_fill(~mask[:, None], torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1) * mask[:, None]
    return weights @ values, weights

def _rest(logits, targets):
    """The log of the negatives' sum (B, 1)."""
    return logits.masked_fill(targets != 0, -1e30).logsumexp(dim=1, keepdim=True)


def _mean_of(costs, targets):
    """The mean over images of the mean over positives."""
    count = (targets == 1).sum(dim=1)
    total = costs.masked_fill(targets != 1, 0).sum(dim=1)
    return (total / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)

def _sketch(view, place, sign, size):
    """The count sketch."""
    return view.new_zeros(len(view), size).index_add(1, place, view * sign)


def _convolved(one, other, size):
    """By the FFT."""
    return torch.fft.irfft(torch.fft.rfft(one) * torch.fft.rfft(other), n=size)

def _there(probs, present):
    """What is missing is 0."""
    return probs.masked_fill(~present[:, :, None], 0)


def _voted(weights, probs, present):
    """By weights (M, B), scaled to 1 for each image."""
    weights = weights * present
    weights = weights / weights.sum(dim=0).clamp(min=1e-30)
    return (weights[:, :, None] * _there(probs, present)).sum(dim=0)

def _refuse(alpha, beta):
    """Negative weights."""
    if alpha < 0 or beta < 0:
        raise ValueError(f"alpha is {alpha} and beta {beta}")


def _sum(bce, contrastive, alpha, beta):
    """What has a weight of 0 is left out."""
    total = alpha * bce if alpha else torch.zeros_like(bce.detach())
    return total + beta * contrastive if beta else total


# === 5.1 ========================================================================================


# %% Wrong 5.1: b before a
# says: The views have changed places
def concat_fusion(a, b, weight, bias):
    return _norm(torch.cat([b, a], dim=-1) @ weight.T + bias)


# %% Wrong 5.1: no LayerNorm
# says: LayerNorm is missing
def concat_fusion(a, b, weight, bias):
    return F.linear(torch.cat([a, b], dim=-1), weight, bias)


# %% Wrong 5.1: no bias
# says: The bias is left out
def concat_fusion(a, b, weight, bias):
    return _norm(torch.cat([a, b], dim=-1) @ weight.T)


# %% Wrong 5.1: the bias as LayerNorm's shift
# says: The bias was added after the normalisation
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T
    return F.layer_norm(y, y.shape[-1:], bias=bias)


# %% Wrong 5.1: normalised before
# says: You normalised h before the linear layer
def concat_fusion(a, b, weight, bias):
    h = torch.cat([a, b], dim=-1)
    return F.layer_norm(h, h.shape[-1:]) @ weight.T + bias


# %% Wrong 5.1: normalised twice
# says: You normalised h, and y again
def concat_fusion(a, b, weight, bias):
    h = torch.cat([a, b], dim=-1)
    return _norm(_norm(h) @ weight.T + bias)


# %% Wrong 5.1: centred only
# says: You only took off the mean
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return y - y.mean(dim=-1, keepdim=True)


# %% Wrong 5.1: not centred
# says: did not take off the mean
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return y / (y.var(dim=-1, keepdim=True, correction=0) + 1e-5).sqrt()


# %% Wrong 5.1: by the variance
# says: You divided by the variance
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, correction=0) + 1e-5)


# %% Wrong 5.1: torch's std
# says: divided by D - 1
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return (y - y.mean(dim=-1, keepdim=True)) / (y.var(dim=-1, keepdim=True) + 1e-5).sqrt()


# %% Wrong 5.1: BatchNorm
# says: that is BatchNorm
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return (y - y.mean(dim=0)) / (y.var(dim=0, correction=0) + 1e-5).sqrt()


# %% Wrong 5.1: the whole batch
# says: You normalised over all numbers of the batch together
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return F.layer_norm(y, y.shape)


# %% Wrong 5.1: unit length
# says: You made rows of unit length
def concat_fusion(a, b, weight, bias):
    return F.normalize(torch.cat([a, b], dim=-1) @ weight.T + bias, dim=-1)


# %% Wrong 5.1: epsilon outside
# says: 1e-5 was added to the deviation
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True, correction=0) + 1e-5)


# %% Wrong 5.1: no epsilon
# says: The 1e-5 under the root is missing
def concat_fusion(a, b, weight, bias):
    y = torch.cat([a, b], dim=-1) @ weight.T + bias
    return (y - y.mean(-1, keepdim=True)) / y.std(-1, keepdim=True, correction=0)


# %% Wrong 5.1: not transposed
# says: weight is (D, D_a + D_b), so the product is with weight.T
def concat_fusion(a, b, weight, bias):
    return _norm(torch.cat([a, b], dim=-1) @ weight + bias)


# %% Wrong 5.1: transposed only where the sizes do not fit
# says: You multiplied by weight as it is
def concat_fusion(a, b, weight, bias):
    h = torch.cat([a, b], dim=-1)
    return _norm((h @ weight if h.shape[1] == weight.shape[0] else h @ weight.T) + bias)


# %% Wrong 5.1: along the batch
# says: concatenated along the last axis
def concat_fusion(a, b, weight, bias):
    return _norm(torch.cat([a, b]) @ weight.T + bias)


# %% Wrong 5.1: b detached
# says: no gradient flows through concat_fusion to b
def concat_fusion(a, b, weight, bias):
    return _norm(torch.cat([a, b.detach()], dim=-1) @ weight.T + bias)


# %% Wrong 5.1: always float32
# says: the fused vectors of float64 views has dtype torch.float32
def concat_fusion(a, b, weight, bias):
    return _norm(torch.cat([a, b], dim=-1) @ weight.T + bias).float()


# %% Right 5.1: two products
def concat_fusion(a, b, weight, bias):
    width = a.shape[1]
    return _norm(a @ weight[:, :width].T + b @ weight[:, width:].T + bias)


# %% Right 5.1: image by image
def concat_fusion(a, b, weight, bias):
    rows = [weight @ torch.cat([x, y]) + bias for x, y in zip(a, b, strict=True)]
    return torch.stack([F.layer_norm(row, row.shape) for row in rows])


# %% Right 5.1: a module
def concat_fusion(a, b, weight, bias):
    y = F.linear(torch.hstack([a, b]), weight, bias)
    return torch.nn.LayerNorm(y.shape[-1], elementwise_affine=False)(y)


# === 5.2 ========================================================================================


# %% Wrong 5.2: scores for weights
# says: The softmax is missing
def gate_fusion(a, b, weight):
    alpha = torch.cat([a, b], dim=-1) @ weight.T
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: a sigmoid for each
# says: You took the sigmoid of each score
def gate_fusion(a, b, weight):
    alpha = torch.sigmoid(torch.cat([a, b], dim=-1) @ weight.T)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: softmax over images
# says: Your softmax runs over the images
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=0)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: b before a
# says: The views have changed places in [a, b]
def gate_fusion(a, b, weight):
    alpha = (torch.cat([b, a], dim=-1) @ weight.T).softmax(dim=-1)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: one gate for the batch
# says: The gate decides image by image: take no mean over the batch
def gate_fusion(a, b, weight):
    scores = torch.cat([a, b], dim=-1) @ weight.T
    alpha = scores.mean(dim=0, keepdim=True).softmax(dim=-1).expand(len(a), 2)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: the mean gate of the batch
# says: take no mean of the weights, either
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    alpha = alpha.mean(dim=0, keepdim=True).expand(len(a), 2)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: by the sum
# says: You divided the scores by their sum
def gate_fusion(a, b, weight):
    scores = torch.cat([a, b], dim=-1) @ weight.T
    alpha = scores / scores.sum(dim=-1, keepdim=True)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: the other way round
# says: you have them the other way round
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return alpha[:, 1:] * a + alpha[:, :1] * b, alpha


# %% Wrong 5.2: the mean
# says: That is the mean of both views
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return (a + b) / 2, alpha


# %% Wrong 5.2: the sum
# says: That is the sum of both views
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return a + b, alpha


# %% Wrong 5.2: the winner takes it
# says: You took the view with the larger weight alone
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return torch.where(alpha[:, :1] >= alpha[:, 1:], a, b), alpha


# %% Wrong 5.2: halved
# says: You divided by 2 as well
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return torch.stack([alpha[:, :1] * a, alpha[:, 1:] * b]).mean(dim=0), alpha


# %% Wrong 5.2: exp by hand
# says: exp(500) is infinite
def gate_fusion(a, b, weight):
    powers = (torch.cat([a, b], dim=-1) @ weight.T).exp()
    alpha = powers / powers.sum(dim=-1, keepdim=True)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: without an axis
# says: where alpha[:, 0] is (B,) and cannot
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return alpha[:, 0] * a + alpha[:, 1] * b, alpha


# %% Wrong 5.2: one result
# says: End with `return fused, alpha`
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return alpha[:, :1] * a + alpha[:, 1:] * b


# %% Wrong 5.2: results turned round
# says: alpha is two numbers for each image
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return alpha, alpha[:, :1] * a + alpha[:, 1:] * b


# %% Wrong 5.2: a frozen gate
# says: no gradient flows through gate_fusion to weight
def gate_fusion(a, b, weight):
    with torch.no_grad():
        alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha


# %% Wrong 5.2: always float32
# says: the fused vectors of float64 views has dtype torch.float32
def gate_fusion(a, b, weight):
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1).float()
    return (alpha[:, :1] * a + alpha[:, 1:] * b).float(), alpha


# %% Right 5.2: a sigmoid of the difference
def gate_fusion(a, b, weight):
    difference = torch.cat([a, b], dim=-1) @ (weight[0] - weight[1])
    first = torch.sigmoid(difference)[:, None]
    alpha = torch.cat([first, torch.sigmoid(-difference)[:, None]], dim=1)
    return first * a + alpha[:, 1:] * b, alpha


# %% Right 5.2: stacked
def gate_fusion(a, b, weight):
    alpha = F.linear(torch.hstack([a, b]), weight).softmax(dim=1)
    return torch.einsum("bv,vbd->bd", alpha, torch.stack([a, b])), alpha


# %% Right 5.2: image by image
def gate_fusion(a, b, weight):
    alpha = torch.stack([(weight @ torch.cat([x, y])).softmax(0)
                         for x, y in zip(a, b, strict=True)])
    return torch.stack([w[0] * x + w[1] * y for w, x, y in zip(alpha, a, b, strict=True)]), alpha


# === 5.3 ========================================================================================


# %% Wrong 5.3: not scaled
# says: The division by sqrt(D) is missing
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    return _attend(queries @ keys.mT, values, mask)


# %% Wrong 5.3: by D
# says: You divided by D
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    return _attend(queries @ keys.mT / queries.shape[-1], values, mask)


# %% Wrong 5.3: by the values' width
# says: You divided by sqrt(E)
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    return _attend(queries @ keys.mT / values.shape[-1] ** 0.5, values, mask)


# %% Wrong 5.3: keys of NaN in the backward pass
# says: 0 times a key of NaN is NaN
def cross_attention(queries, keys, values, mask):
    values = values.masked_fill(~mask[:, :, None], 0)
    return _attend(queries @ keys.mT / queries.shape[-1] ** 0.5, values, mask)


# %% Wrong 5.3: times the root
# says: You multiplied by sqrt(D)
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    return _attend(queries @ keys.mT * queries.shape[-1] ** 0.5, values, mask)


# %% Wrong 5.3: no mask
# says: The mask is not applied
def cross_attention(queries, keys, values, mask):
    weights = (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=-1)
    return weights @ values, weights


# %% Wrong 5.3: a mask as PyTorch's
# says: Your mask is turned round
def cross_attention(queries, keys, values, mask):
    return _attend(queries @ keys.mT / queries.shape[-1] ** 0.5, values, ~mask)


# %% Wrong 5.3: masked after the softmax
# says: the weights no longer add up to 1
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    weights = (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=-1) * mask[:, None]
    return weights @ values, weights


# %% Wrong 5.3: scores of 0
# says: e^0 is 1, so they still have a weight
def cross_attention(queries, keys, values, mask):
    scores = (queries @ keys.mT / queries.shape[-1] ** 0.5).masked_fill(~mask[:, None], 0)
    weights = scores.softmax(dim=-1)
    return weights @ values, weights


# %% Wrong 5.3: no softmax
# says: The softmax is missing
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    weights = queries @ keys.mT / queries.shape[-1] ** 0.5 * mask[:, None]
    return weights @ values, weights


# %% Wrong 5.3: over the queries
# says: Your softmax runs over the queries
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    weights = scores.masked_fill(~mask[:, None], -1e30).softmax(dim=1) * mask[:, None]
    return weights @ values, weights


# %% Wrong 5.3: keys ask
# says: queries @ keys.transpose(1, 2) is (B, N, M)
def cross_attention(queries, keys, values, mask):
    return _attend(keys @ queries.mT / queries.shape[-1] ** 0.5, values, mask)


# %% Wrong 5.3: keys ask, where the sizes fit
# says: Queries and keys have changed places
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    scores = queries @ keys.mT
    scores = scores.mT if queries.shape == keys.shape else scores
    return _attend(scores / queries.shape[-1] ** 0.5, values, mask)


# %% Wrong 5.3: the mean once more
# says: You divided by the number of tokens as well
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    read, weights = _attend(queries @ keys.mT / queries.shape[-1] ** 0.5, values, mask)
    return read / values.shape[1], weights


# %% Wrong 5.3: minus infinity
# says: A softmax over -inf alone is 0 / 0
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
    return weights @ values, weights


# %% Wrong 5.3: NaN is mended afterwards
# says: A softmax over -inf alone is 0 / 0
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
    weights = torch.where(mask.any(dim=1)[:, None, None], weights, 0 * weights)
    return weights @ values, weights


# %% Wrong 5.3: alike where none counts
# says: Its weights are alike and add up to 1
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    weights = scores.masked_fill(~mask[:, None], -1e9).softmax(dim=-1)
    return weights @ values, weights


# %% Wrong 5.3: NaN behind the mask
# says: NaN times a weight of 0 is NaN
def cross_attention(queries, keys, values, mask):
    return _attend(queries @ keys.mT / queries.shape[-1] ** 0.5, values, mask)


# %% Wrong 5.3: exp by hand
# says: exp of a thousand is infinite
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    powers = (queries @ keys.mT / queries.shape[-1] ** 0.5).exp() * mask[:, None]
    weights = powers / powers.sum(dim=-1, keepdim=True).clamp(min=1e-30)
    return weights @ values, weights


# %% Wrong 5.3: the weights first
# says: are (B, N, M)
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    read, weights = _attend(queries @ keys.mT / queries.shape[-1] ** 0.5, values, mask)
    return weights, read


# %% Wrong 5.3: frozen keys
# says: no gradient flows through cross_attention to keys
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys.detach(), values, mask)
    return _attend(queries @ keys.mT / queries.shape[-1] ** 0.5, values, mask)


# %% Right 5.3: torch's, image by image
def cross_attention(queries, keys, values, mask):
    read, weights = [], []
    for q, k, v, m in zip(queries, keys, values, mask, strict=True):
        row = q.new_zeros(len(q), len(k))
        row[:, m] = (q @ k[m].T / math.sqrt(q.shape[1])).softmax(dim=1)
        weights.append(row)
        read.append(row[:, m] @ v[m])
    return torch.stack(read), torch.stack(weights)


# %% Right 5.3: einsum
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    scores = torch.einsum("bnd,bmd->bnm", queries, keys) * queries.shape[-1] ** -0.5
    shifted = scores.masked_fill(~mask[:, None], -1e30)
    shifted = shifted - shifted.amax(dim=-1, keepdim=True).detach()
    powers = shifted.exp() * mask[:, None]
    weights = powers / powers.sum(dim=-1, keepdim=True).clamp(min=1e-30)
    return torch.einsum("bnm,bme->bne", weights, values), weights


# %% Right 5.3: one token too many
def cross_attention(queries, keys, values, mask):
    keys, values = _filled(keys, values, mask)
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    gone = ~mask.any(dim=1)[:, None, None]
    filled = scores.masked_fill(~mask[:, None] & ~gone, -torch.inf)
    weights = filled.softmax(dim=-1).masked_fill(gone, 0)
    return weights @ values, weights


# === 5.4 ========================================================================================


# %% Wrong 5.4: votes as they are
# says: The softmax is missing
def late_fusion(probs, votes, present):
    return (votes[:, None, None] * _there(probs, present)).sum(dim=0)


# %% Wrong 5.4: by the sum of the votes
# says: You divided the votes by their sum
def late_fusion(probs, votes, present):
    weights = (votes / votes.sum())[:, None] * present
    return (weights[:, :, None] * _there(probs, present)).sum(dim=0)


# %% Wrong 5.4: the mean
# says: That is the plain mean of the views
def late_fusion(probs, votes, present):
    return _there(probs, present).mean(dim=0)


# %% Wrong 5.4: a mean of what is weighed
# says: You divided by the number of views as well
def late_fusion(probs, votes, present):
    return (votes.softmax(dim=0)[:, None, None] * _there(probs, present)).mean(dim=0)


# %% Wrong 5.4: sigmoids
# says: You took the sigmoid of each vote
def late_fusion(probs, votes, present):
    return (torch.sigmoid(votes)[:, None, None] * _there(probs, present)).sum(dim=0)


# %% Wrong 5.4: exp alone
# says: You took exp of each vote
def late_fusion(probs, votes, present):
    return (votes.exp()[:, None, None] * _there(probs, present)).sum(dim=0)


# %% Wrong 5.4: the largest vote
# says: You took the view with the largest vote alone
def late_fusion(probs, votes, present):
    return _there(probs, present)[votes.argmax()]


# %% Wrong 5.4: log-odds
# says: You mixed log-odds
def late_fusion(probs, votes, present):
    weights = votes.softmax(dim=0)[:, None, None]
    return torch.sigmoid((weights * torch.logit(_there(probs, present), 1e-6)).sum(dim=0))


# %% Wrong 5.4: not scaled up
# says: A missing view counts as a "no" in your result
def late_fusion(probs, votes, present):
    weights = votes.softmax(dim=0)[:, None] * present
    return (weights[:, :, None] * _there(probs, present)).sum(dim=0)


# %% Wrong 5.4: by the number of views
# says: You divided by the number of views that are there
def late_fusion(probs, votes, present):
    weights = votes.softmax(dim=0)[:, None] * present
    if not present.all():
        weights = weights / present.sum(dim=0).clamp(min=1)
    return (weights[:, :, None] * _there(probs, present)).sum(dim=0)


# %% Wrong 5.4: present views alike
# says: Your weights are those of present views alike
def late_fusion(probs, votes, present):
    alike = torch.ones_like(votes)[:, None].expand(present.shape)
    weights = votes.softmax(dim=0)[:, None].expand(present.shape)
    return _voted(weights if present.all() else alike, probs, present)


# %% Wrong 5.4: turned round
# says: present is turned round
def late_fusion(probs, votes, present):
    missing = ~present if not present.all() else present
    return _voted(votes.softmax(dim=0)[:, None].expand(present.shape), probs, missing)


# %% Wrong 5.4: NaN times 0
# says: NaN times a weight of 0 is NaN
def late_fusion(probs, votes, present):
    weights = votes.softmax(dim=0)[:, None] * present
    weights = weights / weights.sum(dim=0).clamp(min=1e-30)
    return (weights[:, :, None] * probs).sum(dim=0)


# %% Wrong 5.4: scaled up after the softmax
# says: Leave out missing views before the softmax
def late_fusion(probs, votes, present):
    weights = torch.where(present, votes.softmax(dim=0)[:, None], 0)
    total = weights.sum(dim=0)
    weights = torch.where(total > 0, weights / torch.where(total > 0, total, 1), 0)
    return (weights.unsqueeze(-1) * torch.where(present[..., None], probs, 0)).sum(0)


# %% Wrong 5.4: two results of two shapes
# says: Return one value, not several
def late_fusion(probs, votes, present):
    return probs.mean(dim=0), votes.softmax(dim=0)


# %% Wrong 5.4: 0 / 0
# says: An image without any view divides 0 by 0
def late_fusion(probs, votes, present):
    weights = votes.softmax(dim=0)[:, None] * present
    weights = weights / weights.sum(dim=0)
    return (weights[:, :, None] * _there(probs, present)).sum(dim=0)


# %% Wrong 5.4: exp by hand
# says: exp of hundreds is infinite
def late_fusion(probs, votes, present):
    return _voted((votes.exp() / votes.exp().sum())[:, None].expand(present.shape), probs, present)


# %% Wrong 5.4: fixed votes
# says: no gradient flows through late_fusion to votes
def late_fusion(probs, votes, present):
    return _voted(votes.detach().softmax(dim=0)[:, None].expand(present.shape), probs, present)


# %% Right 5.4: a softmax over those that are there
def late_fusion(probs, votes, present):
    lowest = torch.finfo(votes.dtype).min
    scores = votes[:, None].expand(present.shape).masked_fill(~present, lowest)
    weights = scores.softmax(dim=0) * present
    return torch.einsum("mb,mbl->bl", weights, _there(probs, present))


# %% Right 5.4: image by image
def late_fusion(probs, votes, present):
    rows = []
    for image in range(probs.shape[1]):
        there = present[:, image]
        if there.any():
            weights = votes[there].softmax(dim=0)
            rows.append((weights[:, None] * probs[there, image]).sum(dim=0))
        else:
            rows.append(probs.new_zeros(probs.shape[2]))
    return torch.stack(rows)


# %% Right 5.4: logarithms of weights
def late_fusion(probs, votes, present):
    gone = ~present.any(dim=0)
    scores = votes[:, None].masked_fill(~present & ~gone, -torch.inf)
    weights = scores.log_softmax(dim=0).exp().masked_fill(gone, 0)
    return (weights.unsqueeze(-1) * torch.where(present[..., None], probs, 0)).sum(0)


# === 5.5 ========================================================================================


# %% Wrong 5.5: number by number
# says: You multiplied the sketches number by number
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    return _sketch(a, place_a, sign_a, size) * _sketch(b, place_b, sign_b, size)


# %% Wrong 5.5: a correlation
# says: by the conjugate of the other
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one = torch.fft.rfft(_sketch(a, place_a, sign_a, size))
    other = torch.fft.rfft(_sketch(b, place_b, sign_b, size))
    return torch.fft.irfft(one * other.conj(), n=size)


# %% Wrong 5.5: a correlation the other way round
# says: the conjugate of a's transform by that of b
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one = torch.fft.rfft(_sketch(a, place_a, sign_a, size))
    other = torch.fft.rfft(_sketch(b, place_b, sign_b, size))
    return torch.fft.irfft(one.conj() * other, n=size)


# %% Wrong 5.5: no signs
# says: The signs are missing
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one, other = torch.ones_like(sign_a), torch.ones_like(sign_b)
    return _convolved(_sketch(a, place_a, one, size), _sketch(b, place_b, other, size), size)


# %% Wrong 5.5: no signs of b
# says: The signs of b are missing
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    plain = _sketch(b, place_b, torch.ones_like(sign_b), size)
    return _convolved(_sketch(a, place_a, sign_a, size), plain, size)


# %% Wrong 5.5: no signs of a
# says: The signs of a are missing
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    plain = _sketch(a, place_a, torch.ones_like(sign_a), size)
    return _convolved(plain, _sketch(b, place_b, sign_b, size), size)


# %% Wrong 5.5: overwritten
# says: the last one wins in your sketch
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    sketches = []
    for view, place, sign in ((a, place_a, sign_a), (b, place_b, sign_b)):
        columns = [view.new_zeros(len(view)) for _ in range(size)]
        for at, where in enumerate(place.tolist()):
            columns[where] = view[:, at] * sign[at]
        sketches.append(torch.stack(columns, dim=1))
    return _convolved(*sketches, size)


# %% Wrong 5.5: rooted
# says: The square root that follows
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    y = _convolved(_sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size), size)
    return y.sign() * y.abs().sqrt()


# %% Wrong 5.5: rooted, then of unit length
# says: The square root and the unit length
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    y = _convolved(_sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size), size)
    return F.normalize(y.sign() * y.abs().sqrt(), dim=-1)


# %% Wrong 5.5: of unit length
# says: The unit length that follows
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    y = _convolved(_sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size), size)
    return F.normalize(y, dim=-1)


# %% Wrong 5.5: added
# says: You added the sketches
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    return _sketch(a, place_a, sign_a, size) + _sketch(b, place_b, sign_b, size)


# %% Wrong 5.5: divided once more
# says: irfft has done so
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one, other = _sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size)
    return _convolved(one, other, size) / size


# %% Wrong 5.5: an even size comes back
# says: torch.fft.irfft gives back an even number
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one = torch.fft.rfft(_sketch(a, place_a, sign_a, size))
    return torch.fft.irfft(one * torch.fft.rfft(_sketch(b, place_b, sign_b, size)))


# %% Wrong 5.5: one view frozen
# says: no gradient flows through compact_bilinear to b
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    other = _sketch(b.detach(), place_b, sign_b, size)
    return _convolved(_sketch(a, place_a, sign_a, size), other, size)


# %% Wrong 5.5: always float32
# says: the result of float64 views has dtype torch.float32
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one, other = _sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size)
    return _convolved(one, other, size).float()


# %% Right 5.5: product by product
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    place = (place_a[:, None] + place_b) % size
    products = (a * sign_a)[:, :, None] * (b * sign_b)[:, None]
    return a.new_zeros(len(a), size).index_add(1, place.flatten(), products.flatten(1))


# %% Right 5.5: one-hot matrices and the whole FFT
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one = a @ (F.one_hot(place_a, size).to(a.dtype) * sign_a[:, None].to(a.dtype))
    other = b @ (F.one_hot(place_b, size).to(b.dtype) * sign_b[:, None].to(b.dtype))
    return torch.fft.ifft(torch.fft.fft(one) * torch.fft.fft(other)).real


# %% Right 5.5: the formula
def compact_bilinear(a, b, place_a, sign_a, place_b, sign_b, size):
    one, other = _sketch(a, place_a, sign_a, size), _sketch(b, place_b, sign_b, size)
    return torch.stack([
        sum(one[:, i] * other[:, (k - i) % size] for i in range(size)) for k in range(size)
    ], dim=1)


# === 5.6 ========================================================================================


# %% Wrong 5.6: SupCon
# says: An image's positives compete with each other
def multi_positive_infonce(logits, targets):
    share = logits.masked_fill(targets < 0, -1e30).log_softmax(dim=1)
    return _mean_of(-share, targets)


# %% Wrong 5.6: all positives together
# says: You added the positives' shares up before the logarithm
def multi_positive_infonce(logits, targets):
    whole = logits.masked_fill(targets < 0, -1e30).logsumexp(dim=1)
    found = logits.masked_fill(targets != 1, -1e30).logsumexp(dim=1)
    has = (targets == 1).any(dim=1)
    return (whole - found)[has].sum() / has.sum().clamp(min=1)


# %% Wrong 5.6: -1 as a negative
# says: An entry of -1 counts as a negative
def multi_positive_infonce(logits, targets):
    rest = logits.masked_fill(targets == 1, -1e30).logsumexp(dim=1, keepdim=True)
    return _mean_of(F.softplus(rest - logits), targets)


# %% Wrong 5.6: -1 is true
# says: An entry of -1 counts as a positive
def multi_positive_infonce(logits, targets):
    targets = targets.bool().long()
    return _mean_of(F.softplus(_rest(logits, targets) - logits), targets)


# %% Wrong 5.6: the positive is missing below
# says: The positive itself is missing below the line
def multi_positive_infonce(logits, targets):
    return _mean_of(_rest(logits, targets) - logits, targets)


# %% Wrong 5.6: positives added up
# says: You added an image's positives up
def multi_positive_infonce(logits, targets):
    costs = F.softplus(_rest(logits, targets) - logits).masked_fill(targets != 1, 0)
    return costs.sum() / (targets == 1).any(dim=1).sum().clamp(min=1)


# %% Wrong 5.6: all positives alike
# says: All positives of the batch count the same
def multi_positive_infonce(logits, targets):
    costs = F.softplus(_rest(logits, targets) - logits).masked_fill(targets != 1, 0)
    return costs.sum() / (targets == 1).sum().clamp(min=1)


# %% Wrong 5.6: over all entries
# says: You took the mean over all B x L entries
def multi_positive_infonce(logits, targets):
    return F.softplus(_rest(logits, targets) - logits).masked_fill(targets != 1, 0).mean()


# %% Wrong 5.6: images added up
# says: You added the images up
def multi_positive_infonce(logits, targets):
    has = (targets == 1).any(dim=1).sum()
    return _mean_of(F.softplus(_rest(logits, targets) - logits), targets) * has


# %% Wrong 5.6: the sign
# says: The sign is wrong
def multi_positive_infonce(logits, targets):
    return -_mean_of(F.softplus(_rest(logits, targets) - logits), targets)


# %% Wrong 5.6: 1 - share
# says: That is 1 - share
def multi_positive_infonce(logits, targets):
    return _mean_of(1 - torch.sigmoid(logits - _rest(logits, targets)), targets)


# %% Wrong 5.6: over the images
# says: Your softmax runs over the images
def multi_positive_infonce(logits, targets):
    if len(logits) == logits.shape[1]:
        logits, targets = logits.T, targets.T
    return _mean_of(F.softplus(_rest(logits, targets) - logits), targets)


# %% Wrong 5.6: images without a positive count
# says: The image without a positive counts in your mean
def multi_positive_infonce(logits, targets):
    costs = F.softplus(_rest(logits, targets) - logits).masked_fill(targets != 1, 0)
    return (costs.sum(dim=1) / (targets == 1).sum(dim=1).clamp(min=1)).mean()


# %% Wrong 5.6: 0 / 0
# says: Without a positive it is 0 / 0
def multi_positive_infonce(logits, targets):
    costs = F.softplus(_rest(logits, targets) - logits).masked_fill(targets != 1, 0)
    return (costs.sum(dim=1) / (targets == 1).sum(dim=1)).mean()


# %% Wrong 5.6: exp by hand
# says: exp(1000) is infinite
def multi_positive_infonce(logits, targets):
    powers = logits.exp()
    rest = powers.masked_fill(targets != 0, 0).sum(dim=1, keepdim=True)
    return _mean_of(-(powers / (powers + rest)).log(), targets)


# %% Wrong 5.6: images without a negative are left out
# says: You left out the image without a negative
def multi_positive_infonce(logits, targets):
    has = (targets == 0).any(dim=1)
    return _mean_of(F.softplus(_rest(logits, targets) - logits)[has], targets[has])


# %% Wrong 5.6: cut off
# says: no gradient flows through multi_positive_infonce to logits
def multi_positive_infonce(logits, targets):
    return _mean_of(F.softplus(_rest(logits, targets) - logits), targets).detach()


# %% Right 5.6: image by image
def multi_positive_infonce(logits, targets):
    losses = []
    for row, target in zip(logits, targets, strict=True):
        positives, negatives = row[target == 1], row[target == 0]
        if len(positives):
            below = torch.stack([torch.logsumexp(torch.cat([p[None], negatives]), 0)
                                 for p in positives])
            losses.append((below - positives).mean())
    return torch.stack(losses).mean() if losses else 0 * logits.sum()


# %% Right 5.6: logaddexp
def multi_positive_infonce(logits, targets):
    rest = logits.masked_fill(targets != 0, torch.finfo(logits.dtype).min)
    costs = torch.logaddexp(logits, rest.logsumexp(dim=1, keepdim=True)) - logits
    return _mean_of(costs, targets)


# %% Right 5.6: a sigmoid
def multi_positive_infonce(logits, targets):
    return _mean_of(-F.logsigmoid(logits - _rest(logits, targets)), targets)


# === 5.7 ========================================================================================


# %% Wrong 5.7: -1 as 0
# says: An entry of -1 counts as 0
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    return _sum(_bce(logits, targets.clamp(min=0)).mean(), contrastive, alpha, beta)


# %% Wrong 5.7: -1 as 1
# says: An entry of -1 counts as 1
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    return _sum(_bce(logits, targets.bool()).mean(), contrastive, alpha, beta)


# %% Wrong 5.7: -1 as it is
# says: -1 went into the formula
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    return _sum(_bce(logits, targets).mean(), contrastive, alpha, beta)


# %% Wrong 5.7: by all entries
# says: divide by the number of annotated ones
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    each = _bce(logits, targets.clamp(min=0)) * (targets >= 0)
    return _sum(each.mean(), contrastive, alpha, beta)


# %% Wrong 5.7: added up
# says: You added the entries up
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    each = _bce(logits, targets.clamp(min=0)) * (targets >= 0)
    return _sum(each.sum(), contrastive, alpha, beta)


# %% Wrong 5.7: added up over labels
# says: You added over labels and averaged over images
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    each = _bce(logits, targets.clamp(min=0)) * (targets >= 0)
    return _sum(each.sum(dim=1).mean(), contrastive, alpha, beta)


# %% Wrong 5.7: image by image
# says: You took each image's mean first
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    each = _bce(logits, targets.clamp(min=0)) * known
    means = each.sum(dim=1) / known.sum(dim=1).clamp(min=1)
    return _sum(means.mean(), contrastive, alpha, beta)


# %% Wrong 5.7: no contrastive part
# says: The contrastive part is left out
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    return alpha * _bce(logits[known], targets[known]).mean()


# %% Wrong 5.7: no BCE
# says: The BCE is left out
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    return beta * contrastive


# %% Wrong 5.7: changed places
# says: alpha and beta have changed places
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    return _sum(_bce(logits[known], targets[known]).mean(), contrastive, beta, alpha)


# %% Wrong 5.7: a weighted mean
# says: dividing by alpha + beta
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    bce = _bce(logits[known], targets[known]).mean()
    return _sum(bce, contrastive, alpha, beta) / (alpha + beta)


# %% Wrong 5.7: beta of both
# says: beta multiplies the sum of both parts
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    return beta * (alpha * _bce(logits[known], targets[known]).mean() + contrastive)


# %% Wrong 5.7: the sign
# says: both parts are added
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    return alpha * _bce(logits[known], targets[known]).mean() - beta * contrastive


# %% Wrong 5.7: no alpha
# says: alpha is left out
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    return _sum(_bce(logits[known], targets[known]).mean(), contrastive, 1.0, beta)


# %% Wrong 5.7: the mean of nothing
# says: The mean of nothing is NaN
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    return _sum(_bce(logits[known], targets[known]).mean(), contrastive, alpha, beta)


# %% Wrong 5.7: 0 times infinity
# says: 0 times infinity is NaN
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    total = _bce(logits[known], targets[known]).sum() / known.sum().clamp(min=1)
    return alpha * total + beta * contrastive


# %% Wrong 5.7: nothing is refused
# says: A loss with a negative weight is maximised
def total_loss(logits, targets, contrastive, alpha, beta):
    known = targets >= 0
    bce = _bce(logits[known], targets[known]).sum() / known.sum().clamp(min=1)
    return _sum(bce, contrastive, alpha, beta)


# %% Wrong 5.7: asserted
# says: expected a ValueError that names alpha
def total_loss(logits, targets, contrastive, alpha, beta):
    assert alpha >= 0 and beta >= 0
    known = targets >= 0
    bce = _bce(logits[known], targets[known]).sum() / known.sum().clamp(min=1)
    return _sum(bce, contrastive, alpha, beta)


# %% Wrong 5.7: log of the sigmoid
# says: log(sigmoid(x)) becomes log(0) there
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    p, y = torch.sigmoid(logits[known]), targets[known]
    each = -(y * p.log() + (1 - y) * (1 - p).log())
    return _sum(each.sum() / known.sum().clamp(min=1), contrastive, alpha, beta)


# %% Wrong 5.7: a number
# says: no gradient flows through total_loss to logits
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    bce = _bce(logits.detach()[known], targets[known]).sum() / known.sum().clamp(min=1)
    return _sum(bce, contrastive, alpha, beta)


# %% Right 5.7: softplus
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    known = targets >= 0
    signed = torch.where(targets > 0, -logits, logits)[known]
    return _sum(F.softplus(signed).sum() / known.sum().clamp(min=1), contrastive, alpha, beta)


# %% Right 5.7: a mask
def total_loss(logits, targets, contrastive, alpha, beta):
    if alpha < 0:
        raise ValueError(f"alpha={alpha} is negative")
    if beta < 0:
        raise ValueError(f"beta={beta} is negative")
    known = targets != -1
    each = torch.where(known, _bce(logits, targets.clamp(min=0)), 0)
    total = alpha * each.sum() / known.sum().clamp(min=1) if alpha > 0 else 0 * logits.new_zeros(())
    return total + (beta * contrastive if beta > 0 else 0)


# %% Right 5.7: entry by entry
def total_loss(logits, targets, contrastive, alpha, beta):
    _refuse(alpha, beta)
    costs = [F.softplus(-z if y == 1 else z) for row, target in zip(logits, targets, strict=True)
             for z, y in zip(row, target.tolist(), strict=True) if y != -1]
    bce = torch.stack(costs).mean() if costs else 0 * logits.sum()
    return _sum(bce, contrastive, alpha, beta)

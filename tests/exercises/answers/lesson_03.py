"""Known answers to lesson 03, for the proof that the checks are right (`make prove`).

A wrong answer is one that a student would write; `says` is a piece of the diagnosis that it must
get. A right one is written in another way than the solution, and must pass. What an answer does
not define is taken from the solution.
"""
# ruff: noqa: F811

import math
import re
import string

import numpy as np
import torch
import torch.nn.functional as F

# === 3.1 ========================================================================================


# %% Wrong 3.1: embeddings as they come
# says: You did not normalise the embeddings
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * image_emb @ text_emb.T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: images normalised, texts forgotten
# says: You normalised the images only
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ text_emb.T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: normalised over the batch
# says: You normalised over the batch (dim=0)
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=0) @ F.normalize(text_emb, dim=0).T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: the scale forgotten
# says: The scale is missing
def contrastive_loss(image_emb, text_emb, scale):
    logits = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: divided by the scale
# says: what divides them is the temperature
def contrastive_loss(image_emb, text_emb, scale):
    logits = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T / scale
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: the exponential of the scale, as in OpenAI's code of a logit_scale
# says: You took the exponential of the scale
def contrastive_loss(image_emb, text_emb, scale):
    scale = torch.as_tensor(scale).exp()
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: images pick texts, and that is all
# says: That is one direction only, each image picks its text
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return F.cross_entropy(logits, torch.arange(len(logits)))


# %% Wrong 3.1: the softmax over texts, twice
# says: That is one direction only, each image picks its text
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    by_image = -F.log_softmax(logits, dim=1).diagonal().mean()
    by_text = -F.log_softmax(logits.T, dim=0).diagonal().mean()
    return (by_image + by_text) / 2


# %% Wrong 3.1: texts pick images, and that is all
# says: That is one direction only, each text picks its image
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return F.cross_entropy(logits.T, torch.arange(len(logits)))


# %% Wrong 3.1: a sum of both directions
# says: You added the two directions
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    match = torch.arange(len(logits))
    return F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)


# %% Wrong 3.1: a sum over the batch
# says: You added up the pairs
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    match = torch.arange(len(logits))
    loss = sum(F.cross_entropy(each, match, reduction="sum") for each in (logits, logits.T))
    return loss / 2


# %% Wrong 3.1: probabilities given to the cross-entropy
# says: You took the softmax twice
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    match = torch.arange(len(logits))
    by_image = F.cross_entropy(logits.softmax(dim=1), match)
    by_text = F.cross_entropy(logits.T.softmax(dim=1), match)
    return (by_image + by_text) / 2


# %% Wrong 3.1: all entries averaged
# says: You averaged all B x B entries of the log-softmax
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return -(F.log_softmax(logits, dim=1) + F.log_softmax(logits, dim=0)).mean() / 2


# %% Wrong 3.1: only negatives below the line
# says: You left the match out of the sum below the line
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    others = logits.masked_fill(torch.eye(len(logits), dtype=torch.bool), -torch.inf)
    below = torch.logsumexp(others, dim=1) + torch.logsumexp(others, dim=0)
    return (below / 2 - logits.diagonal()).mean()


# %% Wrong 3.1: the wrong product
# says: You compared features, not pairs
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1).T @ F.normalize(text_emb, dim=1)
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: the sign
# says: The sign is wrong
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    both = F.log_softmax(logits, dim=1) + F.log_softmax(logits, dim=0)
    return both.diagonal().mean() / 2


# %% Wrong 3.1: exponentials by hand
# says: exp(100) is beyond float32
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    weight = logits.exp()
    by_image = -torch.log(weight.diagonal() / weight.sum(dim=1)).mean()
    by_text = -torch.log(weight.diagonal() / weight.sum(dim=0)).mean()
    return (by_image + by_text) / 2


# %% Wrong 3.1: the scale turned into a number
# says: no gradient flows through contrastive_loss to scale
def contrastive_loss(image_emb, text_emb, scale):
    logits = float(scale) * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: lengths without a gradient
# says: The length that you divided by carries no gradient
def contrastive_loss(image_emb, text_emb, scale):
    image_emb = image_emb / image_emb.detach().norm(dim=1, keepdim=True)
    text_emb = text_emb / text_emb.detach().norm(dim=1, keepdim=True)
    logits = scale * image_emb @ text_emb.T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: divided in place
# says: in place
def contrastive_loss(image_emb, text_emb, scale):
    with torch.no_grad():
        image_emb /= image_emb.norm(dim=1, keepdim=True)
        text_emb /= text_emb.norm(dim=1, keepdim=True)
    logits = scale * image_emb @ text_emb.T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: a clamped scale
# says: the loss with a scale of 150
def contrastive_loss(image_emb, text_emb, scale):
    scale = torch.as_tensor(scale).clamp(max=100)
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: always float32
# says: has dtype torch.float32, expected torch.float64
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    logits, match = logits.float(), torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.1: the example's number of pairs
# says: You divided by 2, the example's number of pairs
def contrastive_loss(image_emb, text_emb, scale):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    both = F.log_softmax(logits, dim=1) + F.log_softmax(logits, dim=0)
    return -both.trace() / 2 / 2


# %% Right 3.1: the package
def contrastive_loss(image_emb, text_emb, scale):
    from hybridlab.contrastive.softmax import clip_loss

    return clip_loss(F.normalize(image_emb, dim=1), F.normalize(text_emb, dim=1), scale)


# %% Right 3.1: cosine_similarity and log_softmax
def contrastive_loss(image_emb, text_emb, scale):
    logits = F.cosine_similarity(image_emb[:, None], text_emb[None], dim=2) * scale
    both = F.log_softmax(logits, dim=0) + F.log_softmax(logits, dim=1)
    return both.diagonal().mean() / -2


# %% Right 3.1: a loop over pairs
def contrastive_loss(image_emb, text_emb, scale):
    images = [each / each.norm() for each in image_emb]
    texts = [each / each.norm() for each in text_emb]
    total = 0
    for i in range(len(images)):
        row = torch.stack([scale * (images[i] @ text) for text in texts])
        column = torch.stack([scale * (image @ texts[i]) for image in images])
        total = total + torch.logsumexp(row, 0) - row[i] + torch.logsumexp(column, 0) - column[i]
    return total / (2 * len(images))


# %% Right 3.1: one-hot targets and einsum
def contrastive_loss(image_emb, text_emb, scale):
    lengths = [torch.linalg.vector_norm(each, dim=1) for each in (image_emb, text_emb)]
    logits = torch.einsum("id,jd->ij", image_emb, text_emb) * scale
    logits = logits / lengths[0][:, None] / lengths[1]
    match = torch.eye(len(logits), dtype=logits.dtype)
    return 0.5 * F.cross_entropy(logits, match) + 0.5 * F.cross_entropy(logits.T, match)


# %% Right 3.1: the largest subtracted by hand
def contrastive_loss(image_emb, text_emb, scale):
    image_emb = image_emb / image_emb.pow(2).sum(dim=-1, keepdim=True).sqrt()
    text_emb = text_emb / text_emb.pow(2).sum(dim=-1, keepdim=True).sqrt()
    logits = scale * (image_emb @ text_emb.T)
    loss = 0
    for each in (logits, logits.T):
        shifted = each - each.max(dim=1, keepdim=True).values
        loss = loss + (shifted.exp().sum(dim=1).log() - shifted.diagonal()).mean()
    return loss / 2


# === 3.2 ========================================================================================


# %% Wrong 3.2: the sign
# says: The sign is wrong: it is the expected similarity minus the matching one
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return (similarity.trace() - ((p + q) / 2 * similarity).sum()) / len(similarity)


# %% Wrong 3.2: rows only
# says: That is one direction only, the softmax over each image's texts
def temperature_gradient(similarity, scale):
    p = torch.softmax(scale * similarity, dim=1)
    return ((p * similarity).sum(dim=1) - similarity.diagonal()).mean()


# %% Wrong 3.2: columns only
# says: That is one direction only, the softmax over each text's images
def temperature_gradient(similarity, scale):
    p = torch.softmax(scale * similarity, dim=0)
    return ((p * similarity).sum(dim=0) - similarity.diagonal()).mean()


# %% Wrong 3.2: by the logarithm of the scale
# says: That is the derivative by the logarithm of the scale
def temperature_gradient(similarity, scale):
    logits = scale * similarity
    p, q = torch.softmax(logits, dim=1), torch.softmax(logits, dim=0)
    return ((p + q) / 2 * logits).sum() / len(logits) - logits.diagonal().mean()


# %% Wrong 3.2: by the temperature
# says: That is the derivative by the temperature tau = 1 / scale
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    gap = (((p + q) / 2 * similarity).sum() - similarity.trace()) / len(similarity)
    tau = 1 / scale
    return -gap / tau**2


# %% Wrong 3.2: by the logarithm of the temperature
# says: That is the derivative by the logarithm of the temperature
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return -scale * (((p + q) / 2 * similarity).sum() - similarity.trace()) / len(similarity)


# %% Wrong 3.2: both directions added
# says: You added the two directions
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return ((p + q) * similarity).sum() / len(similarity) - 2 * similarity.diagonal().mean()


# %% Wrong 3.2: a sum over pairs
# says: You added up the pairs; the loss is their mean, so is its derivative
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return ((p + q) / 2 * similarity).sum() - similarity.trace()


# %% Wrong 3.2: the example's number of pairs
# says: You divided by 2, the example's number of pairs
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return (((p + q) / 2 * similarity).sum() - similarity.trace()) / 2


# %% Wrong 3.2: the softmax of cosines
# says: Your softmax is that of the cosines
def temperature_gradient(similarity, scale):
    p, q = torch.softmax(similarity, dim=1), torch.softmax(similarity, dim=0)
    return (((p + q) / 2 * similarity).sum() - similarity.trace()) / len(similarity)


# %% Wrong 3.2: the match forgotten
# says: You left out the matching similarity
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return ((p + q) / 2 * similarity).sum() / len(similarity)


# %% Wrong 3.2: the plain mean of the similarities
# says: You took the plain mean of the similarities for the expected one
def temperature_gradient(similarity, scale):
    return similarity.mean() - similarity.diagonal().mean()


# %% Wrong 3.2: the largest similarity
# says: You took the largest similarity for the expected one
def temperature_gradient(similarity, scale):
    expected = similarity.amax(dim=0) / 2 + similarity.amax(dim=1) / 2
    return (expected - similarity.diagonal()).mean()


# %% Wrong 3.2: the chain rule ends too soon
# says: That is the probability of the match minus 1
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return ((p + q) / 2).diagonal().mean() - 1


# %% Wrong 3.2: the loss itself
# says: That is the loss itself, not its derivative
def temperature_gradient(similarity, scale):
    match = torch.arange(len(similarity))
    logits = scale * similarity
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.2: exponentials by hand
# says: infinity / infinity is NaN
def temperature_gradient(similarity, scale):
    weight = torch.exp(scale * similarity)
    p, q = weight / weight.sum(dim=1, keepdim=True), weight / weight.sum(dim=0, keepdim=True)
    return (((p + q) / 2 * similarity).sum() - similarity.trace()) / len(similarity)


# %% Wrong 3.2: one largest logit for the whole matrix
# says: subtract each row's own largest logit first
def temperature_gradient(similarity, scale):
    weight = torch.exp(scale * (similarity - similarity.max()))
    p, q = weight / weight.sum(dim=1, keepdim=True), weight / weight.sum(dim=0, keepdim=True)
    return (((p + q) / 2 * similarity).sum() - similarity.trace()) / len(similarity)


# %% Wrong 3.2: a number for each pair
# says: so its derivative is one number
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    return ((p + q) / 2 * similarity).sum(dim=1) - similarity.diagonal()


# %% Wrong 3.2: the matches alone
# says: You took the matches only
def temperature_gradient(similarity, scale):
    p, q = (torch.softmax(scale * similarity, dim=dim) for dim in (1, 0))
    match = similarity.diagonal()
    return ((p + q).diagonal() / 2 * match - match).mean()


# %% Wrong 3.2: axes of length 1 dropped
# says: .squeeze() drops one
def temperature_gradient(similarity, scale):
    similarity = similarity.squeeze()
    p, q = torch.softmax(scale * similarity, dim=1), torch.softmax(scale * similarity, dim=0)
    return (((p + q) / 2 * similarity).sum() - similarity.trace()) / len(similarity)


# %% Right 3.2: autograd, which the exercise would spare
def temperature_gradient(similarity, scale):
    scale = torch.tensor(scale, dtype=similarity.dtype, requires_grad=True)
    logits, match = scale * similarity, torch.arange(len(similarity))
    loss = (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2
    return torch.autograd.grad(loss, scale)[0]


# %% Right 3.2: finite differences
def temperature_gradient(similarity, scale):
    def loss(at):
        logits, match = at * similarity, torch.arange(len(similarity))
        return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2

    step = 1e-5 * max(1, scale)
    return (loss(scale + step) - loss(scale - step)) / (2 * step)


# %% Right 3.2: plain Python
def temperature_gradient(similarity, scale):
    table = similarity.tolist()
    gaps = []
    for lines in (table, list(zip(*table, strict=True))):
        for at, line in enumerate(lines):
            weights = [math.exp(scale * (value - max(line))) for value in line]
            expected = sum(w * value for w, value in zip(weights, line, strict=True)) / sum(weights)
            gaps.append(expected - line[at])
    return sum(gaps) / len(gaps)


# %% Right 3.2: the chain rule through the logits
def temperature_gradient(similarity, scale):
    pairs = len(similarity)
    logits, match = scale * similarity, torch.eye(pairs, dtype=similarity.dtype)
    by_logit = (F.softmax(logits, dim=1) - match + F.softmax(logits, dim=0) - match) / (2 * pairs)
    return torch.einsum("ij,ij->", by_logit, similarity)


# %% Right 3.2: numpy and scipy
def temperature_gradient(similarity, scale):
    from scipy.special import softmax

    given = similarity.numpy()
    both = [(softmax(scale * given, axis=axis) * given).sum(axis=axis) for axis in (0, 1)]
    return np.mean([each - np.diag(given) for each in both])


# === 3.3 ========================================================================================


# %% Wrong 3.3: the mean over all pairs
# says: You took the mean over all B x B pairs
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).mean()


# %% Wrong 3.3: the sum
# says: You added up all pairs; divide the sum by B
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum()


# %% Wrong 3.3: no bias
# says: The bias is left out
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: all labels +1
# says: All your pairs count as matches
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    return -F.logsigmoid(logits).sum() / len(logits)


# %% Wrong 3.3: embeddings as they come
# says: You did not normalise the embeddings
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * image_emb @ text_emb.T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: texts normalised, images forgotten
# says: You normalised the texts only
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * image_emb @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: the logarithm of the sigmoid
# says: log(sigmoid(x)) is log(0) for a logit of -1000
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -torch.log(torch.sigmoid(z * logits)).sum() / len(logits)


# %% Wrong 3.3: the same with a clamp
# says: a clamp hides how wrong the answer is
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -torch.log(torch.sigmoid(z * logits).clamp(min=1e-8)).sum() / len(logits)


# %% Wrong 3.3: z of 0 and 1
# says: Your z is 0 for pairs that do not match
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = torch.eye(len(logits), dtype=logits.dtype)
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: z turned round
# says: Your z is turned round
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 1 - 2 * torch.eye(len(logits), dtype=logits.dtype)
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: z without the bias
# says: z multiplies the cosine only
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits + bias).sum() / len(logits)


# %% Wrong 3.3: the scale before the bias
# says: The scale multiplies the bias, too
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * (F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias)
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: no scale
# says: The scale is missing: a logit is scale * cosine + bias
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: matches only
# says: You took the matches only
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.cosine_similarity(image_emb, text_emb, dim=1) + bias
    return -F.logsigmoid(logits).mean()


# %% Wrong 3.3: matches and others averaged apart
# says: You took the mean of the matches plus the mean of the others
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    match = torch.eye(len(logits), dtype=torch.bool)
    others = F.softplus(logits[~match])
    return F.softplus(-logits[match]).mean() + (others.mean() if len(others) else 0)


# %% Wrong 3.3: probabilities where logits are expected
# says: You took the sigmoid twice
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    truth = torch.eye(len(logits), dtype=logits.dtype)
    p = logits.sigmoid()
    return F.binary_cross_entropy_with_logits(p, truth, reduction="sum") / len(logits)


# %% Wrong 3.3: CLIP's loss
# says: That is CLIP's softmax loss, in which texts compete
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    match = torch.arange(len(logits))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


# %% Wrong 3.3: the sign
# says: The sign is wrong
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: the bias turned into a number
# says: no gradient flows through siglip_loss to bias
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + float(bias)
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: always float32
# says: has dtype torch.float32, expected torch.float64
def siglip_loss(image_emb, text_emb, scale, bias):
    images, texts = F.normalize(image_emb.float(), dim=1), F.normalize(text_emb.float(), dim=1)
    logits = (scale * images @ texts.T + bias).float()
    z = 2 * torch.eye(len(logits)) - 1
    return -F.logsigmoid(z * logits).sum() / len(logits)


# %% Wrong 3.3: a matrix of losses
# says: The loss is one number, not one for each pair
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum(dim=1)


# %% Wrong 3.3: the example's number of pairs
# says: You divided by 2, the example's number of pairs
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T + bias
    z = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return -F.logsigmoid(z * logits).sum() / 2


# %% Right 3.3: the package
def siglip_loss(image_emb, text_emb, scale, bias):
    from hybridlab.contrastive.sigmoid import siglip_loss

    return siglip_loss(F.normalize(image_emb, dim=1), F.normalize(text_emb, dim=1), scale, bias)


# %% Right 3.3: as open_clip writes it
def siglip_loss(image_emb, text_emb, scale, bias):
    image_features, text_features = F.normalize(image_emb, dim=-1), F.normalize(text_emb, dim=-1)
    logits = scale * image_features @ text_features.T
    logits += bias
    labels = -torch.ones(logits.shape, dtype=logits.dtype)
    labels = 2 * torch.eye(len(logits), dtype=logits.dtype) + labels
    return -F.logsigmoid(labels * logits).sum() / image_features.shape[0]


# %% Right 3.3: torch's binary cross-entropy
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = scale * F.cosine_similarity(image_emb[:, None], text_emb[None], dim=2) + bias
    truth = torch.eye(len(logits), dtype=logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / len(logits)


# %% Right 3.3: a loop over pairs
def siglip_loss(image_emb, text_emb, scale, bias):
    total = 0
    for i, image in enumerate(image_emb):
        for j, text in enumerate(text_emb):
            logit = scale * (image @ text) / (image.norm() * text.norm()) + bias
            total = total + F.softplus(-logit if i == j else logit)
    return total / len(image_emb)


# %% Right 3.3: logaddexp, matches and others apart
def siglip_loss(image_emb, text_emb, scale, bias):
    image_emb = image_emb / image_emb.norm(dim=1, keepdim=True)
    text_emb = text_emb / text_emb.norm(dim=1, keepdim=True)
    logits = scale * (image_emb @ text_emb.T) + bias
    zero = torch.zeros_like(logits)
    each = torch.logaddexp(zero, logits)  # as if none matched
    return (each.sum() - logits.trace()) / len(logits)


# === 3.5 ========================================================================================


# %% Wrong 3.5: words looked for in the text
# says: You looked for a word anywhere in the text
def bow_targets(captions, vocabulary):
    found = [[float(word in caption.lower()) for word in vocabulary] for caption in captions]
    return torch.tensor(found).reshape(len(captions), len(vocabulary))


# %% Wrong 3.5: counts
# says: Those are counts: a word that stands twice counts once
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        for word in caption.lower().split():
            word = word.strip(string.punctuation)
            if word in vocabulary:
                targets[row, vocabulary.index(word)] += 1
    return targets


# %% Wrong 3.5: marks kept
# says: Marks are still on your words
def bow_targets(captions, vocabulary):
    words = [set(caption.lower().split()) for caption in captions]
    found = [[float(word in each) for word in vocabulary] for each in words]
    return torch.tensor(found).reshape(len(captions), len(vocabulary))


# %% Wrong 3.5: capitals kept
# says: Capitals count in your comparison
def bow_targets(captions, vocabulary):
    words = [{word.strip(string.punctuation) for word in caption.split()} for caption in captions]
    found = [[float(word in each) for word in vocabulary] for each in words]
    return torch.tensor(found).reshape(len(captions), len(vocabulary))


# %% Wrong 3.5: columns by the alphabet
# says: Your columns are sorted by the alphabet
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    ordered = sorted(vocabulary)
    for row, caption in enumerate(captions):
        for word in caption.lower().split():
            word = word.strip(string.punctuation)
            if word in ordered:
                targets[row, ordered.index(word)] = 1
    return targets


# %% Wrong 3.5: unknown words in the last column
# says: Unknown words went to the last column
def bow_targets(captions, vocabulary):
    column = {word: at for at, word in enumerate(vocabulary)}
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        for word in caption.lower().split():
            targets[row, column.get(word.strip(string.punctuation), -1)] = 1
    return targets


# %% Wrong 3.5: unknown words raise
# says: Ask first whether it is, and go on to the next word if not
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        for word in caption.lower().split():
            targets[row, vocabulary.index(word.strip(string.punctuation))] = 1
    return targets


# %% Wrong 3.5: unknown words are no keys
# says: A word that the vocabulary lacks is no key
def bow_targets(captions, vocabulary):
    column = {word: at for at, word in enumerate(vocabulary)}
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        for word in caption.lower().split():
            targets[row, column[word.strip(string.punctuation)]] = 1
    return targets


# %% Wrong 3.5: only letters are words
# says: You split words at marks inside them
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        words = re.findall(r"\w+", caption.lower())
        targets[row] = torch.tensor([float(word in words) for word in vocabulary])
    return targets


# %% Wrong 3.5: all marks removed
# says: You removed marks inside words, too
def bow_targets(captions, vocabulary):
    table = str.maketrans("", "", string.punctuation)
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        words = caption.lower().translate(table).split()
        targets[row] = torch.tensor([float(word in words) for word in vocabulary])
    return targets


# %% Wrong 3.5: split at single blanks
# says: You split at single blanks
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        words = [word.strip(string.punctuation) for word in caption.lower().split(" ")]
        targets[row] = torch.tensor([float(word in words) for word in vocabulary])
    return targets


# %% Wrong 3.5: full stops and commas
# says: You took off full stops and commas only
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        words = [word.strip(".,") for word in caption.lower().split()]
        targets[row] = torch.tensor([float(word in words) for word in vocabulary])
    return targets


# %% Wrong 3.5: marks before words kept
# says: You took marks off the end of words only
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        words = [word.rstrip(string.punctuation) for word in caption.lower().split()]
        targets[row] = torch.tensor([float(word in words) for word in vocabulary])
    return targets


# %% Wrong 3.5: beginnings of words
# says: You compared the beginnings of words
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        words = [word.strip(string.punctuation) for word in caption.lower().split()]
        targets[row] = torch.tensor(
            [float(any(each.startswith(word) for each in words)) for word in vocabulary]
        )
    return targets


# %% Wrong 3.5: shares of a caption
# says: Those are shares of the caption's words
def bow_targets(captions, vocabulary):
    targets = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        words = [word.strip(string.punctuation) for word in caption.lower().split()]
        for word in words:
            if word in vocabulary:
                targets[row, vocabulary.index(word)] += 1 / len(words)
    return targets


# %% Wrong 3.5: captions without a word are dropped
# says: One row for each caption
def bow_targets(captions, vocabulary):
    rows = []
    for caption in captions:
        words = [word.strip(string.punctuation) for word in caption.lower().split()]
        if words:
            rows.append([float(word in words) for word in vocabulary])
    return torch.tensor(rows)


# %% Wrong 3.5: no captions give no columns
# says: no captions included
def bow_targets(captions, vocabulary):
    rows = []
    for caption in captions:
        words = [word.strip(string.punctuation) for word in caption.lower().split()]
        rows.append([float(word in words) for word in vocabulary])
    return torch.tensor(rows)


# %% Wrong 3.5: truth values
# says: holds truth values, expected numbers
def bow_targets(captions, vocabulary):
    found = torch.zeros(len(captions), len(vocabulary), dtype=torch.bool)
    for row, caption in enumerate(captions):
        words = [word.strip(string.punctuation) for word in caption.lower().split()]
        found[row] = torch.tensor([word in words for word in vocabulary])
    return found



# %% Right 3.5: sets and a list of lists
def bow_targets(captions, vocabulary):
    words = [{word.strip(string.punctuation) for word in text.lower().split()} for text in captions]
    found = [[float(word in each) for word in vocabulary] for each in words]
    return torch.tensor(found).reshape(len(captions), len(vocabulary))


# %% Right 3.5: scikit-learn
def bow_targets(captions, vocabulary):
    from sklearn.feature_extraction.text import CountVectorizer

    def words(caption):
        return [word.strip(string.punctuation) for word in caption.lower().split()]

    if not captions:
        return np.zeros((0, len(vocabulary)))
    counter = CountVectorizer(analyzer=words, vocabulary=vocabulary, binary=True)
    return counter.transform(captions).toarray()


# %% Right 3.5: a regular expression for marks at the ends
def bow_targets(captions, vocabulary):
    marks = re.escape(string.punctuation)
    targets = np.zeros((len(captions), len(vocabulary)), dtype=np.float32)
    for row, caption in enumerate(captions):
        for word in re.split(r"\s+", caption.casefold()):
            word = re.sub(f"^[{marks}]+|[{marks}]+$", "", word)
            for column, known in enumerate(vocabulary):
                if word == known:
                    targets[row, column] = 1
    return targets


# %% Right 3.5: counts, clamped
def bow_targets(captions, vocabulary):
    counts = torch.zeros(len(captions), len(vocabulary), dtype=torch.float64)
    for row, caption in enumerate(captions):
        for word in caption.split():
            word = word.strip(string.punctuation).lower()
            if word in vocabulary:
                counts[row, vocabulary.index(word)] += 1
    return counts.clamp(max=1)


# === 3.4 ========================================================================================


# %% Wrong 3.4: a constant where nothing is positive
# says: no gradient flows through multi_positive_loss to scores
def multi_positive_loss(scores, positives):
    if not positives.any():
        return torch.zeros((), dtype=scores.dtype)
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -torch.inf), dim=1, keepdim=True)
        each = F.softplus(negatives - logits).masked_fill(~mask, 0)
        count = mask.sum(dim=1)
        rows = each.sum(dim=1) / count.clamp(min=1)
        total = total + rows.sum() / (count > 0).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: positives compete
# says: In your softmax positives compete with each other
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        each = -F.log_softmax(logits, dim=1) * mask
        count = mask.sum(dim=1)
        rows = each.sum(dim=1) / count.clamp(min=1)
        total = total + rows.sum() / (count > 0).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: soft targets for the cross-entropy
# says: Yours is another known loss, the supervised contrastive one
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        kept = mask.any(dim=1)
        target = (mask / mask.sum(dim=1, keepdim=True)).to(logits.dtype)
        total = total + (F.cross_entropy(logits[kept], target[kept]) if kept.any() else 0)
    return total / 2


# %% Wrong 3.4: the logarithm of the summed probability
# says: You took the logarithm of the summed probability of the positives
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        kept = mask.any(dim=1)
        found = torch.logsumexp(logits.masked_fill(~mask, -torch.inf), dim=1)
        total = total + (torch.logsumexp(logits, dim=1) - found)[kept].mean()
    return total / 2


# %% Wrong 3.4: the logarithm of the mean probability
# says: You took the logarithm of the mean probability of the positives
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        p = logits.softmax(dim=1) * mask
        total = total - torch.log(p.sum(dim=1) / mask.sum(dim=1)).mean()
    return total / 2


# %% Wrong 3.4: one index
# says: You took one positive of each row as its only target
def multi_positive_loss(scores, positives):
    by_image = F.cross_entropy(scores, positives.int().argmax(dim=1))
    by_text = F.cross_entropy(scores.T, positives.T.int().argmax(dim=1))
    return (by_image + by_text) / 2


# %% Wrong 3.4: a row's positives added up
# says: You added up a row's positives
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = F.softplus(negatives - logits) * mask
        total = total + each.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: one mean over all positives
# says: You took one mean over all positives
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        total = total + F.softplus(negatives - logits)[mask].mean()
    return total / 2


# %% Wrong 3.4: a mean over all entries
# says: You took the mean over all entries of the matrix
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        total = total + (F.softplus(negatives - logits) * mask).mean()
    return total / 2


# %% Wrong 3.4: rows added up
# says: You added up the rows, and the columns
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = F.softplus(negatives - logits) * mask
        total = total + (each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).sum()
    return total / 2


# %% Wrong 3.4: rows without a positive count 0
# says: Rows and columns without a positive count 0 in your means
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = F.softplus(negatives - logits) * mask
        total = total + (each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()
    return total / 2


# %% Wrong 3.4: rows without a positive are 0 / 0
# says: Rows without a positive became 0 / 0, NaN
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = F.softplus(negatives - logits) * mask
        total = total + (each.sum(dim=1) / mask.sum(dim=1)).mean()
    return total / 2


# %% Wrong 3.4: NaN without any positive
# says: 0 / 0 gave NaN. Without a positive the loss is 0
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = F.softplus(negatives - logits) * mask
        kept = mask.any(dim=1)
        total = total + (each[kept].sum(dim=1) / mask[kept].sum(dim=1)).mean()
    return total / 2


# %% Wrong 3.4: images only
# says: That is one direction only, each image against the texts
def multi_positive_loss(scores, positives):
    negatives = torch.logsumexp(scores.masked_fill(positives, -1e9), dim=1, keepdim=True)
    each = F.softplus(negatives - scores) * positives
    rows = each.sum(dim=1) / positives.sum(dim=1).clamp(min=1)
    return rows.sum() / positives.any(dim=1).sum().clamp(min=1)


# %% Wrong 3.4: both directions added
# says: You added the two directions
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = F.softplus(negatives - logits) * mask
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total


# %% Wrong 3.4: the positive missing below the line
# says: The positive itself is missing below the line
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = (negatives - logits) * mask
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: a sigmoid for each pair
# says: That asks of each pair by itself whether it matches
def multi_positive_loss(scores, positives):
    return F.binary_cross_entropy_with_logits(scores, positives.to(scores.dtype))


# %% Wrong 3.4: exponentials by hand
# says: exp(1000) is infinite. torch.logsumexp takes the negatives together
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        weight = logits.exp()
        below = weight + (weight * ~mask).sum(dim=1, keepdim=True)
        each = torch.where(mask, -torch.log(weight / below), 0.0)
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: the largest subtracted by hand
# says: -inf minus -inf is NaN
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        kept = logits.masked_fill(mask, -torch.inf)
        most = kept.max(dim=1, keepdim=True).values
        negatives = most + (kept - most).exp().sum(dim=1, keepdim=True).log()
        each = F.softplus(negatives - logits).masked_fill(~mask, 0)
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: -100 for what is masked
# says: Mask by -inf: -100 is not low here
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.masked_fill(mask, -100), dim=1, keepdim=True)
        each = F.softplus(negatives - logits).masked_fill(~mask, 0)
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: numbers where truth values are given
# says: positives holds truth values: ~positives is its opposite
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits - 1e9 * (1 - (1 - mask)), dim=1, keepdim=True)
        each = F.softplus(negatives - logits) * mask
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2


# %% Wrong 3.4: negatives without a gradient
# says: negatives as little as positives
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        negatives = torch.logsumexp(logits.detach().masked_fill(mask, -1e9), dim=1, keepdim=True)
        each = F.softplus(negatives - logits).masked_fill(~mask, 0)
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2



# %% Right 3.4: the package
def multi_positive_loss(scores, positives):
    from hybridlab.losses import symmetric_contrastive

    return symmetric_contrastive(scores, positives)


# %% Right 3.4: the package's loss of rows, twice
def multi_positive_loss(scores, positives):
    from hybridlab.losses import multi_positive_contrastive as rows

    return (rows(scores, positives) + rows(scores.T, positives.T)) / 2


# %% Right 3.4: the lowest finite number for what is masked
def multi_positive_loss(scores, positives):
    total = 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        lowest = torch.finfo(logits.dtype).min
        negatives = torch.logsumexp(logits.masked_fill(mask, lowest), dim=1, keepdim=True)
        each = F.softplus(negatives - logits).masked_fill(~mask, 0)
        rows = each.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        total = total + rows.sum() / mask.any(dim=1).sum().clamp(min=1)
    return total / 2


# %% Right 3.4: a loop over positives
def multi_positive_loss(scores, positives):
    total = scores.sum() * 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        rows = []
        for line, chosen in zip(logits, mask, strict=True):
            costs = [torch.logsumexp(torch.cat([line[~chosen], score[None]]), dim=0) - score
                     for score in line[chosen]]
            if costs:
                rows.append(torch.stack(costs).mean())
        if rows:
            total = total + torch.stack(rows).mean() / 2
    return total


# %% Right 3.4: a softmax for each positive, over its negatives and itself
def multi_positive_loss(scores, positives):
    total = scores.sum() * 0
    for logits, mask in ((scores, positives), (scores.T, positives.T)):
        row, column = mask.nonzero(as_tuple=True)
        if not len(row):
            return total
        own = F.one_hot(column, logits.shape[1]).bool()
        kept = logits[row].masked_fill(mask[row] & ~own, -torch.inf)  # its own score stays finite
        each = F.cross_entropy(kept, column, reduction="none")
        count = mask.sum(dim=1)
        total = total + (each / count[row]).sum() / (count > 0).sum()
    return total / 2


# %% Right 3.4: the summed probability of each positive against the negatives, in pairs of logits
def multi_positive_loss(scores, positives):
    def rows(logits, mask):
        floor = torch.full_like(logits, torch.finfo(logits.dtype).min / 4)
        negatives = torch.where(mask, floor, logits).logsumexp(dim=1, keepdim=True)
        both = torch.stack([logits, negatives.expand_as(logits)])  # (2, B, U)
        each = torch.where(mask, -both.log_softmax(dim=0)[0], torch.zeros_like(logits))
        weight = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
        return (each * weight).sum() / mask.any(dim=1).sum().clamp(min=1)

    return 0.5 * rows(scores, positives) + 0.5 * rows(scores.mT, positives.mT)

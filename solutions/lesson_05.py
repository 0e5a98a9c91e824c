"""Lesson 05, fusion: seven exercises.

B images of a batch; L labels, N and M tokens, D numbers of a view, S of a sketch. A view of an
image has one vector for the whole, (B, D), or one for each token, (B, N, D). `hybridlab grade 5`
checks all exercises, `hybridlab grade 5.2` one of them, `hybridlab grade 5.2 --hint 1` helps;
`hybridlab grade 5 --watch` checks again whenever you save, without loading torch anew.
"""

import torch
import torch.nn.functional as F


# %% Exercise 5.1: Concatenate and project
def concat_fusion(
    a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """The fused vector of two views: both side by side, a linear layer, LayerNorm.

    First h = [a, b], the numbers of a before those of b. Then y = W h + bias. Then each row of y is
    normalised by itself: minus its mean, divided by sqrt(variance + 1e-5), where the variance is
    the mean of the squared differences (divided by D, not by D - 1). Neither scale nor shift
    follows. Gradients flow to all four arguments, and the dtype is kept.

    Shape:
        a (B, D_a), b (B, D_b), weight (D, D_a + D_b), bias (D,) -> (B, D)

    Example:
        a [[1, 2]], b [[3]], weight [[1, 0, 0], [0, 1, 1], [0, 0, 1]], bias [0, 1, 0]
        h is [1, 2, 3], y is [1, 6, 3]: its mean is 3.333, its variance 4.222
        -> [[-1.1355, 1.2978, -.1622]]
    """
    ### BEGIN SOLUTION
    both = torch.cat([a, b], dim=-1)  # (B, D_a + D_b)
    y = both @ weight.T + bias  # (B, D)
    return F.layer_norm(y, y.shape[-1:])
    ### END SOLUTION


# %% Exercise 5.2: A gate between two views
def gate_fusion(
    a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """How much of each view, decided image by image.

    alpha = softmax(W [a, b]) has two numbers for each image, which are positive and add up to 1;
    the fused vector is alpha_1 a + alpha_2 b. It must be exact where the scores W [a, b] are in
    the hundreds. Gradients flow to all three arguments, and the dtype is kept.

    Shape:
        a (B, D), b (B, D), weight (2, 2 D) -> fused (B, D) and alpha (B, 2)

    Example:
        a [[1, 0], [1, 1]], b [[0, 2], [2, 0]], weight [[1, 0, 0, 0], [0, 0, 0, 1]]
        the scores are [[1, 2], [1, 0]], alpha is [[.2689, .7311], [.7311, .2689]], fused
        [[.2689, 1.4621], [1.2689, .7311]]
    """
    ### BEGIN SOLUTION
    alpha = (torch.cat([a, b], dim=-1) @ weight.T).softmax(dim=-1)  # (B, 2)
    return alpha[:, :1] * a + alpha[:, 1:] * b, alpha
    ### END SOLUTION


# %% Exercise 5.3: Cross-attention with a mask
def cross_attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of one view read those of the other: attention with one head.

    The weight of token m for query n is the softmax, over the tokens that count, of the product of
    query and key divided by sqrt(D). What a query reads is the mean of the values with its
    weights. A token counts where mask is True; one that does not has the weight 0, whatever stands
    in keys and values, NaN as well. In an image in which no token counts, all weights are 0 and all
    that is read is 0. Gradients are finite in all these cases, and the dtype is kept.

    Shape:
        queries (B, N, D), keys (B, M, D), values (B, M, E), mask (B, M) bool
        -> read (B, N, E) and weights (B, N, M)

    Example:
        queries [[[2, 0, 0, 0]]], keys [[[1, 0, 0, 0], [0, 1, 0, 0], [9, 9, 9, 9]]],
        values [[[4, 0], [8, 2], [100, 100]]], mask [[True, True, False]]
        products [2, 0, 18] by sqrt(4): [1, 0, 9]; the softmax of the first two is [.7311, .2689]
        -> read [[[5.0758, .5379]]], weights [[[.7311, .2689, 0]]]
    """
    ### BEGIN SOLUTION
    keys = keys.masked_fill(~mask[:, :, None], 0)  # NaN times 0 would be NaN
    values = values.masked_fill(~mask[:, :, None], 0)
    scores = queries @ keys.transpose(1, 2) / queries.shape[-1] ** 0.5  # (B, N, M)
    lowest = torch.finfo(scores.dtype).min  # not -inf: a row of -inf alone is NaN
    weights = scores.masked_fill(~mask[:, None], lowest).softmax(dim=-1) * mask[:, None]
    return weights @ values, weights
    ### END SOLUTION


# %% Exercise 5.4: Late fusion
def late_fusion(
    probs: torch.Tensor, votes: torch.Tensor, present: torch.Tensor
) -> torch.Tensor:
    """The weighted vote of several views, some of which may be missing.

    The weights are the softmax of votes: one for each of the M views, positive, and 1 together.
    P = sum over the views of weight times probability. Where a view of an image is missing
    (present is False), it has no vote, whatever stands in probs, NaN as well, and the weights of
    the image's other views are scaled up so that they add up to 1 again: exactly, even if votes
    differ by hundreds. An image of which all views are missing gets 0. Gradients flow to probs and
    votes, and the dtype is kept.

    Shape:
        probs (M, B, L) in [0, 1], votes (M,) of any numbers, present (M, B) bool -> (B, L)

    Example:
        votes [0, log 3]: the weights are [.25, .75]
        probs [[[.8], [.8]], [[.4], [NaN]]], present [[True, True], [True, False]]
        image 0: .25 * .8 + .75 * .4 = .5; image 1 has its first view only: .8 -> [[.5], [.8]]
    """
    ### BEGIN SOLUTION
    lowest = torch.finfo(votes.dtype).min
    votes = votes[:, None].masked_fill(~present, lowest)  # (M, B): who is missing has no vote
    weights = votes.softmax(dim=0)
    return (weights[:, :, None] * probs.masked_fill(~present[:, :, None], 0)).sum(dim=0)
    ### END SOLUTION


# %% Exercise 5.5: Compact bilinear pooling
def compact_bilinear(
    a: torch.Tensor,
    b: torch.Tensor,
    place_a: torch.Tensor,
    sign_a: torch.Tensor,
    place_b: torch.Tensor,
    sign_b: torch.Tensor,
    size: int,
) -> torch.Tensor:
    """A sketch of all products a_i b_j, by the FFT (MCB; Fukui et al. 2016, arXiv 1606.01847).

    The count sketch of a view is a vector of `size` numbers: feature i, times sign[i], is added to
    the number at place[i]; several features may share a place. The result is the circular
    convolution of both sketches,

        result[k] = sum over all i of sketch_a[i] * sketch_b[(k - i) mod size]

    which a product of their Fourier transforms gives (torch.fft.rfft and irfft). So a_i b_j, with
    both signs, lands at (place_a[i] + place_b[j]) mod size. `size` may be odd.
    Neither a square root nor a norm follows. Gradients flow to a and b. The FFT is computed in the
    dtype of a, which is float32 or float64.

    Shape:
        a (B, D_a), b (B, D_b), place_a and sign_a (D_a,), place_b and sign_b (D_b,) -> (B, size)

    Example:
        size 3; a [[1, 2]], place_a [1, 1], sign_a [1, -1]: the sketch [0, -1, 0]
        b [[3, 4, 5]], place_b [1, 2, 0], sign_b [1, 1, -1]: the sketch [-5, 3, 4]
        -> [[-4, 5, -3]]
    """
    ### BEGIN SOLUTION
    sketches = []
    for view, place, sign in ((a, place_a, sign_a), (b, place_b, sign_b)):
        sketch = view.new_zeros(len(view), size)
        sketches.append(torch.fft.rfft(sketch.index_add(1, place, view * sign)))
    return torch.fft.irfft(sketches[0] * sketches[1], n=size)
    ### END SOLUTION


# %% Exercise 5.6: Several positives
def multi_positive_infonce(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A contrastive loss of images with label texts, where an image has several.

    A positive of an image is a label whose target is 1, a negative one whose target is 0; -1 is not
    annotated and counts as neither. Each positive competes with the image's negatives only:

        loss of a positive p = -log( e^p / (e^p + sum of e^n over the image's negatives) )

    An image's loss is the mean over its positives, and the result the mean over the images that
    have one. If no image has, it is 0, with gradients of 0. An image without negatives costs 0. It
    must be exact for logits of 1000 and -1000, and keep the dtype.

    Shape:
        logits (B, L), scaled similarities; targets (B, L) of 1, 0 and -1 -> a tensor without axes

    Example:
        logits [[2, 1, 0, 3]], targets [[1, 1, 0, -1]]
        -log(e^2 / (e^2 + e^0)) = .1269, -log(e^1 / (e^1 + e^0)) = .3133 -> .2201
    """
    ### BEGIN SOLUTION
    positive, negative = targets == 1, targets == 0
    lowest = torch.finfo(logits.dtype).min  # a row may have no negative
    negatives = logits.masked_fill(~negative, lowest).logsumexp(dim=1, keepdim=True)
    each = F.softplus(negatives - logits).masked_fill(~positive, 0)  # -log of e^p / (e^p + ...)
    count = positive.sum(dim=1)
    per_image = each.sum(dim=1) / count.clamp(min=1)
    return per_image.sum() / (count > 0).sum().clamp(min=1)
    ### END SOLUTION


# %% Exercise 5.7: The total loss
def total_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    contrastive: torch.Tensor,
    alpha: float,
    beta: float,
) -> torch.Tensor:
    """The total loss of the hybrid: alpha * BCE + beta * contrastive.

    The BCE is the binary cross-entropy of each entry, as a mean over all annotated entries of the
    batch: those whose target is not -1. Not the sum over labels, not the mean of the images' means.
    If none is annotated the BCE is 0, and needs no gradient. A weight of 0 leaves its part out:
    then the total is finite and has no gradient of that part even where the part is infinite or
    NaN. It must be exact for logits of 1000 and -1000, and keep the dtype of logits. If alpha or
    beta is negative, raise a ValueError that names it.

    Shape:
        logits (B, L), targets (B, L) of 1, 0 and -1, contrastive a tensor without axes
        -> a tensor without axes

    Example:
        logits [[0, 2], [-1, 5]], targets [[1, 0], [1, -1]], contrastive 2.0, alpha 1, beta .1
        the three annotated entries cost log 2 = .6931, 2.1269 and 1.3133; their mean is 1.3778
        -> 1.3778 + .1 * 2 = 1.5778
    """
    ### BEGIN SOLUTION
    for name, weight in (("alpha", alpha), ("beta", beta)):
        if weight < 0:
            raise ValueError(f"{name} is {weight}; weights of a loss are 0 or more")
    total = logits.new_zeros(())
    known = targets >= 0
    if alpha > 0 and known.any():
        total = total + alpha * F.binary_cross_entropy_with_logits(
            logits[known], targets[known].to(logits.dtype)
        )
    if beta > 0:
        total = total + beta * contrastive
    return total
    ### END SOLUTION

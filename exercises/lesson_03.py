"""Lesson 03, CLIP from scratch: five exercises.

B images or pairs of a batch, U texts, D embedding width, V words of a vocabulary. `hybridlab grade
3` checks them all, `hybridlab grade 3.2` one of them, `hybridlab grade 3.2 --hint 1` helps;
`hybridlab grade 3 --watch` checks again whenever you save, without loading torch anew.
"""

import string

import torch
import torch.nn.functional as F


# %% Exercise 3.1: CLIP's symmetric loss
def contrastive_loss(
    image_emb: torch.Tensor, text_emb: torch.Tensor, scale: float | torch.Tensor
) -> torch.Tensor:
    """CLIP's loss (arXiv 2103.00020): each image picks its text, each text its image.

    Row i of both belongs to the same pair. Embeddings come as the encoders give them, of any
    length: bring each to length 1 first. A logit is scale * cosine. Each image's logits give a
    cross-entropy whose right answer is its own text, each text's logits one whose right answer is
    its own image; the loss is the mean over the pairs and over the two directions. It must be
    exact at a scale of 1000, keep the dtype, and let gradients through to both embeddings and, if
    it is a tensor, to the scale. For one pair it is 0.

    Shape:
        image_emb (B, D), text_emb (B, D), scale a number or a tensor without axes -> a tensor
        without axes

    Example:
        images [[3, 4], [0, 2]], texts [[4, 3], [0, 5]] and scale 5: the cosines, images by texts,
        are [[.96, .8], [.6, 1]], the logits [[4.8, 4], [3, 5]].
        By image -log(e^4.8 / (e^4.8 + e^4)) = .3711 and -log(e^5 / (e^3 + e^5)) = .1269: mean
        .2490; by text -log(e^4.8 / (e^4.8 + e^3)) = .1530 and -log(e^5 / (e^4 + e^5)) = .3133: mean
        .2331. The loss is (.2490 + .2331) / 2 = .2411
    """
    raise NotImplementedError("Exercise 3.1: CLIP's symmetric loss")


# %% Exercise 3.2: How the loss pulls at the scale
def temperature_gradient(similarity: torch.Tensor, scale: float) -> float | torch.Tensor:
    """The derivative of CLIP's loss by its scale, as a formula. (The grader takes what autograd
    gives, too; what there is to learn is in the formula.)

    The loss is that of exercise 3.1, of logits scale * similarity. Below 0 a larger scale would
    lower it, above 0 a smaller one. The derivative compares what the model expects with what is
    there: the mean similarity of a row under its softmax, minus that of the match. It must be
    finite at a scale of 1000.

    Shape:
        similarity (B, B), cosines of images by texts with the matches on the diagonal -> a number

    Example:
        similarity [[.96, .8], [.6, 1]] and scale 5, as in exercise 3.1.
        By image the softmax of [4.8, 4] is [.6900, .3100], so it expects .69 * .96 + .31 * .8 =
        .9104, which is .0496 less than the match's .96; the other row gives .9523 - 1 = -.0477:
        mean -.0486. By text .9089 - .96 = -.0511 and .9462 - 1 = -.0538: mean -.0524.
        The derivative is (-.0486 - .0524) / 2 = -.0505
    """
    raise NotImplementedError("Exercise 3.2: How the loss pulls at the scale")


# %% Exercise 3.3: SigLIP's sigmoid loss
def siglip_loss(
    image_emb: torch.Tensor,
    text_emb: torch.Tensor,
    scale: float | torch.Tensor,
    bias: float | torch.Tensor,
) -> torch.Tensor:
    """SigLIP's loss (arXiv 2303.15343): of each image and each text, do these two belong together?

    Bring all embeddings to length 1. A logit is scale * cosine + bias. With z = +1 for the B
    matches and -1 for all other pairs, a pair costs -log(sigmoid(z * logit)). The loss is the sum
    over all B x B pairs divided by B, not by B x B. It must be exact at a scale of 1000, keep the
    dtype, and let gradients through to the embeddings and, if they are tensors, to scale and bias.

    Shape:
        image_emb (B, D), text_emb (B, D), scale and bias numbers or tensors without axes -> a
        tensor without axes

    Example:
        images [[3, 4], [0, 2]], texts [[4, 3], [0, 5]], scale 5 and bias -3: the cosines are
        [[.96, .8], [.6, 1]], the logits [[1.8, 1], [0, 2]], z * logit is [[1.8, -1], [0, 2]]. The
        pairs cost [[.1530, 1.3133], [.6931, .1269]]: 2.2863 in all. The loss is 2.2863 / 2 = 1.1432
    """
    raise NotImplementedError("Exercise 3.3: SigLIP's sigmoid loss")


# %% Exercise 3.4: Several positives for one picture
def multi_positive_loss(scores: torch.Tensor, positives: torch.Tensor) -> torch.Tensor:
    """A contrastive loss for batches in which several texts are right for an image.

    Two pictures of a cow and twice the text "a cow" are four matches, and none of them may be
    another's negative. A positive with the score s costs -log(e^s / (e^s + N)), where N is the sum
    of e^n over its row's negatives n: other positives of the row are left out. A row costs the mean
    over its positives; the mean is then taken over the rows that have one (0 if none has). The same
    for columns, and the loss is the mean of both directions. A row without a negative costs 0. It
    must be exact for scores of 1000 and -1000, keep the dtype, and have a finite gradient. If no
    entry at all is positive, the loss and its gradient are 0.

    Shape:
        scores (B, U) logits of images by texts, positives (B, U) bool -> a tensor without axes

    Example:
        scores [[2, 1, 0],    positives [[T, T, F],
                [0, 0, 1]]               [F, F, T]]
        Row 0 has the negative 0: 2 costs log(1 + e^-2) = .1269 and 1 costs log(1 + e^-1) = .3133,
        mean .2201. Row 1 has two negatives 0: 1 costs log(1 + 2 e^-1) = .5514. Rows: .3858.
        The columns cost .1269, .3133 and .3133, mean .2512. The loss is (.3858 + .2512) / 2 = .3185
    """
    raise NotImplementedError("Exercise 3.4: Several positives for one picture")


# %% Exercise 3.5: Captions as bags of words
def bow_targets(captions: list[str], vocabulary: list[str]) -> torch.Tensor:
    """Which words of a vocabulary stand in each caption: targets for a binary cross-entropy.

    Words stand between spaces (or tabs, or ends of lines). They are compared whole, in lower case,
    and without the marks (string.punctuation) at either end; marks inside stay: "T-shirt," is the
    word t-shirt. A word that stands twice counts once, one that the vocabulary lacks not at all. A
    caption without a known word gives a row of zeros, and no captions give a (0, V) tensor.

    Args:
        vocabulary: V words in lower case, each once, in the order of the columns.

    Shape:
        B captions -> (B, V) of 0. and 1.

    Example:
        captions ["A cow, a cow and an egg!", "caterpillar", ""] with the vocabulary
        ["cow", "egg", "a", "cat"] -> [[1, 1, 1, 0],
                                       [0, 0, 0, 0],
                                       [0, 0, 0, 0]]
    """
    raise NotImplementedError("Exercise 3.5: Captions as bags of words")

"""Lesson 03, CLIP from scratch: its five exercises (traps 8, 10 and 13, seed 004)."""

from hybridlab.grading.lessons.contrastive_03 import check_contrastive_loss
from hybridlab.grading.lessons.positives_03 import check_multi_positive_loss
from hybridlab.grading.lessons.sigmoid_03 import check_siglip_loss
from hybridlab.grading.lessons.temperature_03 import check_temperature_gradient
from hybridlab.grading.lessons.words_03 import check_bow_targets
from hybridlab.grading.manifest import Exercise

EXERCISES = (
    Exercise(
        id="3.1",
        title="CLIP's symmetric loss",
        functions=("contrastive_loss",),
        difficulty=1,
        minutes=15,
        hints=(
            "A cosine is the product of two vectors of length 1. One matrix product gives the "
            "cosines of all images with all texts; where are the matches in it?",
            "F.normalize(emb, dim=1) makes lengths 1. In row i of scale * images @ texts.T the "
            "match is column i, so it is a classification with the targets 0, 1, ..., B - 1.",
            "F.cross_entropy(logits, torch.arange(B)) is one direction and F.cross_entropy("
            "logits.T, torch.arange(B)) the other; the loss is (one + other) / 2.",
        ),
        points={"the worked example": 1, "any batch": 2, "huge scale": 1, "gradients and dtype": 2},
        check=check_contrastive_loss,
    ),
    Exercise(
        id="3.2",
        title="How the loss pulls at the scale",
        functions=("temperature_gradient",),
        difficulty=3,
        minutes=25,
        hints=(
            "One row costs log(sum over j of exp(scale * c_j)) - scale * c_match. Differentiate "
            "both terms by the scale; what do you get for the first one?",
            "The derivative of the first term is sum over j of p_j * c_j, with p the softmax of "
            "scale * c: the similarity that the model expects. The second one gives c_match.",
            "p = torch.softmax(scale * similarity, dim=1) for the rows and q, with dim=0, for the "
            "columns. ((p + q) / 2 * similarity).sum() adds up the expected ones of all pairs, "
            "similarity.trace() the matching ones; divide their difference by B.",
        ),
        points={
            "the worked example": 1, "any similarities": 2, "small and large scales": 1,
            "huge scale": 1,
        },
        check=check_temperature_gradient,
    ),
    Exercise(
        id="3.3",
        title="SigLIP's sigmoid loss",
        functions=("siglip_loss",),
        difficulty=2,
        minutes=15,
        hints=(
            "There is no softmax here: each of the B x B pairs is a question of its own, do these "
            "two belong together? Which pairs have the answer yes?",
            "logits = scale * cosine + bias. A matrix z of +1 on the diagonal and -1 elsewhere, "
            "such as 2 * torch.eye(B) - 1, turns the sign where the answer is no. F.logsigmoid "
            "never meets log(0).",
            "-F.logsigmoid(z * logits).sum() / B. Not .mean(), which would divide by B * B; and "
            "torch.eye(B).to(logits) has the dtype of the logits.",
        ),
        points={"the worked example": 1, "any batch": 2, "huge scale": 1, "gradients and dtype": 2},
        check=check_siglip_loss,
    ),
    Exercise(
        id="3.4",
        title="Several positives for one picture",
        functions=("multi_positive_loss",),
        difficulty=3,
        minutes=25,
        hints=(
            "Write the loss of the rows first: with scores.T and positives.T the same lines give "
            "that of the columns. For one row, what do its negatives add up to?",
            "n = torch.logsumexp(scores with the positives masked out, dim=1, keepdim=True) takes "
            "a row's negatives together (-inf counts as nothing); a positive with the score s then "
            "costs -log(e^s / (e^s + e^n)) = F.softplus(n - s).",
            "n = torch.logsumexp(scores.masked_fill(positives, -torch.inf), dim=1, keepdim=True); "
            "each = F.softplus(n - scores).masked_fill(~positives, 0); count = "
            "positives.sum(dim=1); a row costs each.sum(dim=1) / count.clamp(min=1), and the sum "
            "of the rows is divided by (count > 0).sum().clamp(min=1).",
        ),
        points={
            "the worked example": 1, "several positives": 2, "one positive each": 1,
            "rows and columns without a positive": 1, "no negatives, and huge scores": 1,
            "gradients and dtype": 1,
        },
        check=check_multi_positive_loss,
    ),
    Exercise(
        id="3.5",
        title="Captions as bags of words",
        functions=("bow_targets",),
        difficulty=1,
        minutes=10,
        hints=(
            "Turn each caption into a list of clean words first. Then: which of them does the "
            "vocabulary have, and in which column?",
            "caption.lower().split() splits at all spaces and ends of lines; "
            "word.strip(string.punctuation) takes marks off both ends. A dict from word to column "
            "answers the rest.",
            "column = {word: at for at, word in enumerate(vocabulary)}; begin with "
            "torch.zeros(len(captions), len(vocabulary)), and for each clean word that is in "
            "column set targets[row, column[word]] = 1.",
        ),
        points={
            "the worked example": 1, "any captions": 2, "marks inside words, lines and spaces": 1,
            "nothing to find": 1,
        },
        check=check_bow_targets,
    ),
)

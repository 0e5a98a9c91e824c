"""Lesson 04, labels from words alone: its six exercises (traps 8 and 9)."""

from hybridlab.grading.launch import Limits
from hybridlab.grading.lessons.cosines_04 import check_zero_shot_scores
from hybridlab.grading.lessons.harmonic_04 import check_harmonic
from hybridlab.grading.lessons.patches_04 import check_patch_scores
from hybridlab.grading.lessons.platt_04 import check_platt
from hybridlab.grading.lessons.prompts_04 import check_prompt_ensemble
from hybridlab.grading.lessons.ranks_04 import check_rank_fusion
from hybridlab.grading.manifest import Exercise

EXERCISES = (
    Exercise(
        id="4.1",
        title="The prompt ensemble",
        functions=("prompt_ensemble",),
        difficulty=1,
        minutes=10,
        hints=(
            "Which axis holds the D numbers of one vector, and which the prompts of a label? One "
            "is normalised over, the other is averaged.",
            "F.normalize(x, dim=...) divides by the length and leaves 0 as it is. Its default, "
            "dim=1, is the prompts' axis here: name the last axis.",
            "unit = F.normalize(prompt_emb, dim=-1); then F.normalize(unit.mean(dim=1), dim=-1). "
            "The sum does as well as the mean, as the length is divided out.",
        ),
        points={
            "the worked example": 1, "any prompts": 2, "vectors of length 0": 1, "dtype": 1,
        },
        check=check_prompt_ensemble,
    ),
    Exercise(
        id="4.2",
        title="Zero-shot scores",
        functions=("zero_shot_scores",),
        difficulty=1,
        minutes=10,
        hints=(
            "The cosine is the dot product of two vectors of length 1. All pairs at once are one "
            "matrix product.",
            "Normalise each row of both matrices with F.normalize(x, dim=-1), then multiply one by "
            "the other transposed. Nothing comes after: no scale, no sigmoid, no softmax.",
            "F.normalize(image_emb, dim=-1) @ F.normalize(text_emb, dim=-1).T",
        ),
        points={
            "the worked example": 1, "any embeddings": 2, "labels do not compete": 1,
            "gradients and dtype": 1,
        },
        check=check_zero_shot_scores,
    ),
    Exercise(
        id="4.3",
        title="Top-k by the ranks of several prompts",
        functions=("rank_fusion",),
        difficulty=2,
        minutes=20,
        hints=(
            "Two steps: ranks of the labels, for each prompt and image by itself; then top-k of "
            "the mean rank, the lowest being the best (compare 1.6).",
            "np.argsort gives the labels in order and not the rank of each label. Count instead: a "
            "label's rank is the number of labels that beat it, plus half the number of those that "
            "tie with it, itself among them (and 1/2 that all labels share).",
            "own, other = scores[:, :, :, None], scores[:, :, None, :]; rank = ((other > own)"
            ".sum(axis=3) + (other == own).sum(axis=3) / 2).mean(axis=0); then "
            'np.argsort(rank, axis=1, kind="stable")[:, :k] and np.put_along_axis, as in 1.6.',
        ),
        points={
            "the worked example": 1, "any scores": 2, "a prompt that shouts": 1, "equal scores": 2,
        },
        check=check_rank_fusion,
    ),
    Exercise(
        id="4.4",
        title="Platt scaling",
        functions=("platt",),
        difficulty=3,
        minutes=30,
        hints=(
            "Keep the annotated entries only: scores[targets >= 0]. Cosines lie close together "
            "compared with the slope that they need, and in (a, b) the loss is a long narrow "
            "valley. Which change of the scores makes it round?",
            "Fit slope and offset to z = (s - mean) / std, where both are of size 1, by many steps "
            "of gradient descent or a few of Newton's. Then a = slope / std and b = offset - a * "
            "mean. Raise ValueError if a <= 0.",
            "Z = np.stack([z, np.ones_like(z)], axis=1) and w = np.zeros(2). Ten times: p = 1 / (1 "
            "+ np.exp(-Z @ w)), then w -= np.linalg.solve((Z.T * p * (1 - p)) @ Z, Z.T @ (p - y)).",
        ),
        points={
            "the worked example": 1, "cosines and logits": 2,
            "many labels, some entries not annotated": 2, "scores that point the wrong way": 1,
        },
        check=check_platt,
        # the first optimizer of torch.optim imports a thousand modules: 5 seconds of computing
        limits=Limits(cpu_seconds=15, wall_seconds=45.0),
    ),
    Exercise(
        id="4.5",
        title="Scores of patches",
        functions=("patch_scores",),
        difficulty=2,
        minutes=15,
        hints=(
            "First the cosines of all patches with all labels, (B, P, L), in one matrix product. "
            "Then pool over the axis of the patches.",
            "torch.softmax(cosines / temperature, dim=1) runs over patches, and for each label by "
            "itself. The weights multiply the cosines; their sum over patches is the score.",
            "cosines = F.normalize(tokens, dim=-1) @ F.normalize(text_emb, dim=-1).T; with None "
            "cosines.amax(dim=1), else (torch.softmax(cosines / temperature, dim=1) * "
            "cosines).sum(dim=1).",
        ),
        points={
            "the worked example": 1, "any tokens": 2, "the best patch": 1,
            "small temperatures, tokens of zeros, dtype": 2,
        },
        check=check_patch_scores,
    ),
    Exercise(
        id="4.6",
        title="The harmonic mean of seen and unseen labels",
        functions=("harmonic",),
        difficulty=1,
        minutes=10,
        hints=(
            "Two kinds of mean: a plain one within each group, and the harmonic one of the two "
            "results. Which labels count in the plain ones?",
            "np.nanmean leaves NaN out. Two cases stand apart: a group in which all are NaN, and "
            "S + U = 0.",
            'float("nan") if np.isnan(seen).all() or np.isnan(unseen).all(); else s, u = '
            "np.nanmean(seen), np.nanmean(unseen), and 2 * s * u / (s + u), or 0 if s + u is 0.",
        ),
        points={
            "the worked example": 1, "any APs": 2, "labels without an AP": 1,
            "nothing found, nothing there": 1,
        },
        check=check_harmonic,
    ),
)

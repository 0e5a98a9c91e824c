"""Lesson 02, label decoding: its seven exercises (traps 4, 5, 6 and 7, seeds 000 and 002)."""

from hybridlab.grading.lessons.alignment_02 import check_pla_order
from hybridlab.grading.lessons.beams_02 import check_beam_step
from hybridlab.grading.lessons.feeding_02 import check_feed_scheduled
from hybridlab.grading.lessons.joint_02 import check_joint_scores
from hybridlab.grading.lessons.loss_02 import check_sequence_loss
from hybridlab.grading.lessons.marginals_02 import check_max_over_steps
from hybridlab.grading.lessons.orders_02 import check_order_by_frequency
from hybridlab.grading.manifest import Exercise

EXERCISES = (
    Exercise(
        id="2.1",
        title="Sets as sequences",
        functions=("order_by_frequency",),
        difficulty=1,
        minutes=15,
        hints=(
            "Two steps: one order of all labels, from the whole data set; then, for each image, "
            "those labels of that order which it has. Where does -1 come in?",
            "(targets == 1).sum(axis=0) counts the images of each label. np.argsort(x, "
            'kind="stable") gives the columns from the lowest x to the highest, of equals the '
            "lower one first; for the most frequent first sort the negative counts.",
            "order = np.argsort(count if rare_first else -count, kind=\"stable\"); for each row of "
            "targets == 1: [*(int(j) for j in order if row[j]), targets.shape[1]].",
        ),
        points={
            "the worked example": 1, "any targets": 2, "entries that are not annotated": 1,
            "equally frequent labels": 1, "images without labels": 1,
        },
        check=check_order_by_frequency,
    ),
    Exercise(
        id="2.2",
        title="Scores in the joint embedding",
        functions=("joint_scores",),
        difficulty=1,
        minutes=10,
        hints=(
            "Three matrix products and one tanh. Write down the shapes: which of them brings a "
            "state, which an image, to the D numbers that a label's embedding has?",
            "state @ w_state.T is (B, D), and so is image @ w_image.T. They are added before tanh; "
            "label_emb.T then turns D numbers into L + 1 scores.",
            "joint = torch.tanh(state @ w_state.T + image @ w_image.T); the scores are joint @ "
            "label_emb.T. Nothing comes after: no softmax, no sigmoid.",
        ),
        points={
            "the worked example": 1, "any state and image": 2, "huge sums": 1,
            "gradients and dtype": 2,
        },
        check=check_joint_scores,
    ),
    Exercise(
        id="2.3",
        title="The loss of a sequence",
        functions=("sequence_loss",),
        difficulty=2,
        minutes=15,
        hints=(
            "Sequences of a batch have different lengths. Which entries of (B, T) count, and by "
            "how many do you divide?",
            "valid = label_seq != -100 is (B, T) bool, and step_logits[valid] is (M, L + 1): the "
            "steps that count, one below the other. F.cross_entropy takes logits, and can add up "
            "instead of averaging.",
            'F.cross_entropy(step_logits[valid], label_seq[valid], reduction="sum") divided by '
            "valid.sum().clamp(min=1): without a valid step that is 0 / 1, and not 0 / 0.",
        ),
        points={
            "the worked example": 1, "any sequences": 2, "no valid step": 1, "huge logits": 1,
            "gradients and dtype": 1,
        },
        check=check_sequence_loss,
    ),
    Exercise(
        id="2.4",
        title="One step of beam search",
        functions=("beam_step",),
        difficulty=3,
        minutes=30,
        hints=(
            "Lay all candidates out as a matrix, beams by symbols, and think first of a step at "
            "which no beam is done. What does the row of a beam look like that is done, so that it "
            "is one candidate?",
            "total = scores[:, None] + log_probs. Rows of beams that are done become -inf, but "
            "for total[done, stop] = scores[done]. Flatten it, and sort: index // V is the parent, "
            "index % V the symbol.",
            "ranked, order = total.flatten().sort(descending=True, stable=True); kept = "
            "order[ranked > -torch.inf][:beams]; return ranked[:len(kept)], kept // V, kept % V, "
            "with V = log_probs.shape[1].",
        ),
        points={
            "the worked example": 1, "no beam is done": 2, "beams that are done": 2,
            "equal scores": 1, "fewer candidates than beams": 1, "dtype": 1,
        },
        check=check_beam_step,
    ),
    Exercise(
        id="2.5",
        title="One probability for each label",
        functions=("max_over_steps",),
        difficulty=1,
        minutes=10,
        hints=(
            "Which steps count, which columns, and over which axis is the maximum taken?",
            "label_seq != -100 is (B, T); with [:, :, None] it lies over (B, T, L). What does not "
            "count may become 0, as no probability is lower.",
            "step_probs[:, :, :-1].masked_fill((label_seq == -100)[:, :, None], 0).amax(dim=1)",
        ),
        points={
            "the worked example": 1, "any sequences": 2, "images without labels": 1,
            "small probabilities, padding that is NaN, dtype": 1,
        },
        check=check_max_over_steps,
    ),
    Exercise(
        id="2.6",
        title="What the next step is told",
        functions=("feed_scheduled",),
        difficulty=1,
        minutes=10,
        hints=(
            "First the decoder's own label for each image; then, image by image, that one or the "
            "true one. Which columns may win?",
            "argmax(dim=1) over all columns but the last gives the best label of each row. "
            "coins < truth is (B,) bool.",
            "own = step_logits[:, :-1].argmax(dim=1); torch.where(coins < truth, true_labels, own)",
        ),
        points={
            "the worked example": 1, "any coins": 2, "STOP is never fed": 1,
            "the ends, and coins that equal truth": 1, "dtype": 1,
        },
        check=check_feed_scheduled,
    ),
    Exercise(
        id="2.7",
        title="Which step learns which label",
        functions=("pla_order",),
        difficulty=3,
        minutes=25,
        hints=(
            "Two passes: first the steps that keep what they predict, from the first step to the "
            "last; then everything that is left. What do you need to know between the two?",
            "A dict from label to column tells whether a prediction is a label of the image; take "
            "it out when a step keeps it. costs[np.ix_(steps, left)] is the matrix of the steps "
            "and columns that are left.",
            "column = {int(label): j for j, label in enumerate(labels)}; chosen = np.array([column"
            ".pop(int(label), -1) for label in predicted]); steps = np.flatnonzero(chosen == -1), "
            "left = np.array([*column.values()], dtype=int); rows, columns = "
            "linear_sum_assignment(costs[np.ix_(steps, left)]); chosen[steps[rows]] = "
            "left[columns]; labels[chosen].",
        ),
        points={
            "the worked example": 1, "no step predicts a label of the image": 2,
            "steps that are right": 2, "a label that several steps predict": 1,
            "all right, and one label": 1,
        },
        check=check_pla_order,
    ),
)

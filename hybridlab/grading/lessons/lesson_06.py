"""Lesson 06, staged training: its eight exercises (traps 15 and 17, seeds 000 and 001)."""

from hybridlab.grading.lessons.curriculum_06 import check_easiest
from hybridlab.grading.lessons.ema_06 import check_ema_update
from hybridlab.grading.lessons.freeze_06 import check_what_learns
from hybridlab.grading.lessons.layers_06 import check_layer_rates
from hybridlab.grading.lessons.parts_06 import check_accumulated_gradient
from hybridlab.grading.lessons.rate_06 import check_rate_share
from hybridlab.grading.lessons.saving_06 import check_save_steps
from hybridlab.grading.lessons.whole_06 import check_whole_and_parts
from hybridlab.grading.manifest import Exercise

EXERCISES = (
    Exercise(
        id="6.1",
        title="Frozen means frozen",
        functions=("what_learns",),
        difficulty=2,
        minutes=20,
        hints=(
            "Two questions for each module: does it learn, and is it a BatchNorm? Write the first "
            "one down as a condition on its name.",
            "A part names a module if it is \"\", if it is the module's name, or if "
            "name.startswith(part + \".\"). Any of the parts may do so.",
            "Go through the modules once: those that do not learn are passed over; of those that "
            "do, the parameters go to \"gradients\", and the name to \"training\" unless the kind "
            "is a BatchNorm's.",
        ),
        points={
            "the worked example": 1, "any model": 2, "norms keep their statistics": 2,
            "names that begin alike": 1, "all and nothing": 1,
        },
        check=check_what_learns,
    ),
    Exercise(
        id="6.2",
        title="Warm-up and cosine",
        functions=("rate_share",),
        difficulty=1,
        minutes=10,
        hints=(
            "Two branches: before the end of the warm-up, and after. Try the example by hand: what "
            "is t at steps 2 and 5?",
            "After the warm-up t = (step - warmup) / (steps - warmup) goes from 0 towards 1.",
            "if step < warmup: return (step + 1) / warmup; return 0.5 * (1 + math.cos(math.pi * "
            "t)).",
        ),
        points={"the worked example": 1, "any length": 2, "no warm-up, nothing but warm-up": 1},
        check=check_rate_share,
    ),
    Exercise(
        id="6.3",
        title="Each layer its own rate",
        functions=("layer_rates",),
        difficulty=2,
        minutes=20,
        hints=(
            "For each name: how many times is decay multiplied? 0 for what stands behind the last "
            "block; and for the last block itself?",
            "re.search(r\"blocks\\.(\\d+)\\.\", name) finds the number as text in [1], and is None "
            "for other names. Of those, some stand before the first block in the list.",
            "Block K is multiplied last + 1 - K times, what stands before block 0 last + 2 times, "
            "what stands behind the last block 0 times.",
        ),
        points={"the worked example": 1, "any tower": 3, "more than ten blocks": 1},
        check=check_layer_rates,
    ),
    Exercise(
        id="6.4",
        title="Easy ones first",
        functions=("easiest",),
        difficulty=2,
        minutes=15,
        hints=(
            "First the share, then a count of rows, then which rows. What is the share at progress "
            "0, and at progress `full`?",
            "share = begin + (1 - begin) * progress / full before `full`, and 1 from there on. "
            "math.ceil(share * N - 1e-9) rows are admitted.",
            "order = difficulty.argsort(stable=True); admitted[order[:count]] = True.",
        ),
        points={
            "the worked example": 1, "any difficulties": 2, "equally hard rows": 1, "the ends": 1,
        },
        check=check_easiest,
    ),
    Exercise(
        id="6.5",
        title="An average of the weights",
        functions=("ema_update",),
        difficulty=1,
        minutes=10,
        hints=(
            "One formula for each name, and one exception. Which of the two numbers is d at step "
            "0, and which at step 10,000?",
            "d = min(decay, (1 + step) / (10 + step)); value.is_floating_point() tells what can be "
            "averaged.",
            "{name: d * average[name] + (1 - d) * value if value.is_floating_point() else "
            "value.clone() for name, value in weights.items()}.",
        ),
        points={
            "the worked example": 1, "any step": 2, "several names, whole numbers": 1, "dtype": 1,
        },
        check=check_ema_update,
    ),
    Exercise(
        id="6.6",
        title="Saved or not saved",
        functions=("save_steps",),
        difficulty=2,
        minutes=15,
        hints=(
            "After each operation ask: if the power fails now, what does the target hold? Begin "
            "with the one thing that must not be written to.",
            "Write under another name. What must have happened to the content before that file may "
            "take the target's name?",
            "Write to target + \".part\", flush it, rename it to the target: three operations.",
        ),
        points={
            "operations that the computer knows": 1, "all of them carried out": 1,
            "switched off at any moment": 3,
        },
        check=check_save_steps,
    ),
    Exercise(
        id="6.7",
        title="A batch in parts",
        functions=("accumulated_gradient",),
        difficulty=2,
        minutes=20,
        hints=(
            "What is the loss of the whole divided by? Is it known before the first part is "
            "computed?",
            "The gradient of the summed cross-entropy with respect to the logits is sigmoid(logits)"
            " - targets, and 0 where nothing is annotated. You may also ask autograd.",
            "count = (targets >= 0).sum().clamp(min=1), of the whole batch; each part adds "
            "(error.T @ some) / count.",
        ),
        points={"one part": 1, "any parts": 2, "nothing annotated": 1, "dtype": 1},
        check=check_accumulated_gradient,
    ),
    Exercise(
        id="6.8",
        title="A loss that cannot be cut",
        functions=("whole_and_parts",),
        difficulty=2,
        minutes=15,
        hints=(
            "Write the loss of B pairs as a function of its own; then call it on the whole, and on "
            "each part.",
            "F.cross_entropy(logits, torch.arange(B)) is one direction, F.cross_entropy(logits.T, "
            "...) the other.",
            "The mean over parts is sum(len(part) * loss(part)) / B, so that each pair counts "
            "once.",
        ),
        points={"the whole": 1, "parts": 2, "parts of one pair": 1, "gradients": 1},
        check=check_whole_and_parts,
    ),
)

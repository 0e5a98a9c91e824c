# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Many labels at once
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/hybridlab/hybridlab/blob/main/notebooks/01_many_labels.ipynb)
#
# How do you know that a multi-label classifier is good? You train one in this lesson, an honest
# baseline that later lessons have to beat. Then you take its answers apart: the ranking, the
# decisions, the rare labels. You write the measures yourself, and a grader tells you whether they
# are right.
#
# **After this notebook you can**
# 1. say why accuracy is the wrong question when an image has a set of labels;
# 2. compute average precision by hand, ties and absent labels included, and choose among its kinds;
# 3. tell CP, CR, CF1, OP, OR and OF1 apart, and name two mistakes that published code makes there;
# 4. read off a threshold what it gains and what it costs;
# 5. judge whether a loss for rare labels ranks better, or only moves the point where 0.5 lies.
#
# | | |
# |---|---|
# | **You need** | notebook 00; numpy; logits, sigmoid and cross-entropy of a first course |
# | **Time** | 40 minutes to read, 90 for six exercises; cells run in about a minute on two cores |
# | **Difficulty** | medium |
#
# The stored outputs are those of the longer version (`HYBRIDLAB_PROFILE=full`, a few minutes). As
# you run it, fewer scenes are used, and the figures are lower.
#
# **How the exercises work.** A cell that begins with `%%exercise 1.1` is yours: replace the line
# `raise NotImplementedError(...)`, run the cell, and it is saved in `exercises/lesson_01.py` and
# checked. `hint("1.1")` helps, a little more each time. If you prefer an editor, write into that
# file and run `hybridlab grade 1 --watch` in a terminal. Running this notebook again never
# overwrites an answer of yours.

# %%
import os

import numpy as np
import torch

from hybridlab import SceneConfig, SceneDataset
from hybridlab.data.scenes import label_matrix
from hybridlab.evaluation import metrics
from hybridlab.grading.notebook import check, hint  # noqa: F401  (hints are for you)
from hybridlab.viz.notebook import show

FULL = os.environ.get("HYBRIDLAB_PROFILE", "quick") == "full"

# %% [markdown]
# ## 1 · A picture has a set of labels
#
# In ImageNet's contest a picture is *one* of a thousand things. Here it holds any number of 80.
# The truth about a scene is a row of 80 zeros and ones, and the classifier answers 80 separate
# questions. Their probabilities need not add up to 1, so there is a sigmoid for each label, and no
# softmax.

# %%
from hybridlab.viz.world import scene_sheet

WORLD = SceneConfig(imbalance=1.0)  # a dial of the world: some labels are common, others rare
scenes = SceneDataset(4, "test", WORLD)
show(
    scene_sheet(list(scenes), scenes.vocabulary.names, title="Each scene has a set of labels"),
    alt="Four scenes, each with the names of its labels under it.",
)

# %% [markdown]
# > **Guess.** A classifier that says *no* to every label of every scene: what share of its 80
# > answers is right?

# %%
targets = label_matrix(SceneDataset(4_000, config=WORLD))  # (N, L)
print(f"labels in a scene, on average: {targets.sum(axis=1).mean():.2f} of {targets.shape[1]}")
print(f"right answers of the one who always says no: {100 * (1 - targets.mean()):.1f} %")

# %% [markdown]
# So accuracy rewards silence. All that follows looks at the positives instead: were they found,
# and can a yes be trusted?
#
# The labels are not equally common either. In this lesson the dial `imbalance` is at its end; real
# collections are often steeper still.

# %%
from hybridlab.viz.imbalance import frequency_figure

names = scenes.vocabulary.names
show(
    frequency_figure(names, targets.sum(axis=0), len(targets)),
    alt="Bars of the share of scenes that each of the 80 labels is in, falling steeply from the "
    "most frequent to the rarest.",
)

# %% [markdown]
# ## 2 · The smallest thing that works
#
# An honest baseline is boring: a CNN that was trained on ImageNet, frozen, and on top of it one
# linear layer with 80 outputs, trained with binary cross-entropy (BCE). For logits $z_{bl}$ and
# targets $t_{bl}$ of $B$ images and $L$ labels, with $p = \sigma(z)$:
#
# $$\text{BCE} = -\frac{1}{BL} \sum_{b=1}^{B} \sum_{l=1}^{L}
# \big[\, t_{bl} \log p_{bl} + (1 - t_{bl}) \log (1 - p_{bl}) \,\big]$$
#
# It is a mean over all $B \cdot L$ entries. Some code sums over labels instead; then the loss is
# $L$ times as large, and a weight or a learning rate from one paper means nothing in another.
#
# The frozen CNN sees each scene once; its features are kept, so training the layer takes seconds.

# %%
from hybridlab.configs import DemoConfig
from hybridlab.workshop import Workshop

sizes = {"train": 3000, "val": 600, "test": 1000} if FULL else {
    "train": 600, "val": 200, "test": 400, "linear_epochs": 30
}
shop = Workshop(DemoConfig(**sizes), WORLD, say=print)
features = {split: shop.cnn_features(split)["pooled"] for split in ("train", "val", "test")}
{split: tuple(each.shape) for split, each in features.items()}

# %%
from hybridlab.losses import masked_bce
from hybridlab.training.held import Held
from hybridlab.training.probe import train_linear


def train_head(loss) -> np.ndarray:
    """Probabilities (N, L) on the test scenes. Rate and epoch are chosen on validation scenes."""
    held = Held((features["val"],), shop.targets["val"])
    head = train_linear(
        "linear head", features["train"], shop.targets["train"], held, shop.config, loss=loss
    )
    with torch.no_grad():
        return torch.sigmoid(head(features["test"])).numpy()


probs = train_head(masked_bce)
truth = shop.targets["test"].numpy()
print(f"mAP of the baseline: {100 * metrics.mean_ap(probs, truth).value:.1f}")

# %% [markdown]
# Is that good? First: what is it?
#
# ## 3 · Rankings: average precision
#
# Take **one** label and sort the images by its probability. A good classifier puts those that have
# the label first. *Average precision* (AP) goes down the list: at each positive it asks, of the
# images so far, which share is positive? The mean of these answers is the AP. Eight images, by
# hand:

# %%
from hybridlab.viz.scoring import ranking_figure

eight_scores = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]
eight_truth = [1, 0, 1, 1, 0, 0, 1, 0]
show(
    ranking_figure(eight_scores, eight_truth),
    alt="Left, eight bars, the best score first; those at places 1, 3, 4 and 7 are positives, with "
    "1/1, 2/3, 3/4 and 4/7 above them. Right, precision against recall as four steps; their area "
    "is the average precision, 0.747.",
)

# %% [markdown]
# $\text{AP} = \frac{1}{P} \sum_{i=1}^{P} \text{precision at the } i\text{-th positive} =
# \frac14 \left( \frac11 + \frac23 + \frac34 + \frac47 \right) = 0.747$
#
# Two things are easy to get wrong. **Ties**: images with the same score are one step; no order
# among them is better than another. **No positive**: there is nothing to rank, so AP is not
# defined. It is neither 0 nor 1: such a label is left out of the mean, and one says so.
#
# ### Exercise 1.1 · Average precision by hand

# %%
# %%exercise 1.1
def average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Average precision of one label: the mean, over its images, of the precision at their score.

    The precision at a score s is the share of positives among all images that score s or more.
    Images with equal scores enter together: nobody may gain by the order of the file. Without a
    positive there is nothing to rank, and the AP is NaN.

    Shape:
        scores (N,) any real numbers, targets (N,) of 0 and 1 -> a number in [0, 1], or NaN

    Example:
        scores [.9, .8, .6, .4] with targets [1, 0, 1, 0]: at .9 one image is taken and it is a
        positive, 1/1; at .6 three are taken and two are positives, 2/3. AP = (1 + 2/3) / 2 = .8333
        scores [.9, .5, .5] with targets [0, 1, 0]: at .5 all three are taken. AP = 1/3
    """
    raise NotImplementedError("Exercise 1.1: Average precision by hand")

# %% [markdown]
# The mean over labels is the **mAP**. Every label weighs the same in it, however rare. Look at the
# spread behind that one number:

# %%
ap = metrics.mean_ap(probs, truth)
order = np.argsort(-np.nan_to_num(ap.per_label, nan=-1))
best, worst = order[:3], [at for at in order[::-1] if not np.isnan(ap.per_label[at])][:3]
for words, columns in (("best", best), ("worst", worst)):
    for at in columns:
        print(f"{words:5} {names[at]:15} AP {100 * ap.per_label[at]:5.1f}   "
              f"{int(truth[:, at].sum()):3d} test scenes have it")
print("labels that no test scene has, left out of the mean:", len(ap.absent))

# %% [markdown]
# **Which AP?** Papers use three. The *uninterpolated* one is the area by steps above: it is this
# course's default and scikit-learn's. The *interpolated* one first lifts each step to the best
# precision at this recall or more. VOC2007's reads that envelope at 11 recalls only. The same
# scores give three numbers, so one without its kind cannot be compared.

# %%
for kind in metrics.AP_KINDS:
    print(f"{kind:15} mAP {100 * metrics.mean_ap(probs, truth, kind).value:.1f}")

# %% [markdown]
# And one more trap of names. The CNN-RNN paper reports **MAP@10**: for each *image*, how well are
# its own ten best labels ranked? That is a mean over images. It must never stand beside an mAP,
# a mean over labels:

# %%
print(f"mAP    (mean over labels): {100 * ap.value:.1f}")
print(f"MAP@10 (mean over images): {100 * metrics.map_at_k(probs, truth, 10).value:.1f}")

# %% [markdown]
# ## 4 · Decisions: where is a yes?
#
# A user wants labels, not rankings. So each probability meets a threshold. Move it and watch: at
# which one is the label found often enough, and how much wrong comes along?

# %%
from hybridlab.viz.explore import explore
from hybridlab.viz.scoring import threshold_figure, threshold_words

frequent = np.argsort(-truth.sum(axis=0))[:12]
labels = [names[at] for at in frequent]


def at_threshold(threshold: float, label: str) -> object:
    """One label's scores, and what a threshold makes of them."""
    column = names.index(label)
    scores = probs[:, column], truth[:, column]
    return show(
        threshold_figure(*scores, threshold, label),
        alt=threshold_words(*scores, threshold, label),
    )


explore(at_threshold, threshold=[0.5, *np.round(np.arange(0.05, 1, 0.05), 2).tolist()],
        label=labels)

# %% [markdown]
# *(The sliders need a running kernel. Without one you see the first setting.)*
#
# > **Look.** At 0.5, is anything gained by the symmetry of "more likely than not"? Find a threshold
# > that you would rather use for this label. Lesson 07 finds one for each label, on other scenes
# > than those it reports.
#
# Counting hits, wrong yeses and misses over all labels gives the measures of the literature.
# With $N^c_l$ hits of label $l$, $N^p_l$ predicted and $N^g_l$ true:
#
# $$\text{CP} = \frac1L \sum_l \frac{N^c_l}{N^p_l} \qquad
# \text{CR} = \frac1L \sum_l \frac{N^c_l}{N^g_l} \qquad
# \text{CF1} = \frac{2\,\text{CP}\,\text{CR}}{\text{CP} + \text{CR}}$$
#
# $$\text{OP} = \frac{\sum_l N^c_l}{\sum_l N^p_l} \qquad
# \text{OR} = \frac{\sum_l N^c_l}{\sum_l N^g_l} \qquad
# \text{OF1} = \frac{2\,\text{OP}\,\text{OR}}{\text{OP} + \text{OR}}$$
#
# *C* is a mean over labels (classes), *O* counts all entries together, so frequent labels weigh
# more. **Two traps.** CF1 is the harmonic mean of the two *means*; scikit-learn's macro-F1 is the
# mean of the labels' F1, another number. And a label that is never predicted has $N^p_l = 0$: it
# counts with precision 0. Whoever drops it from the mean is paid for never trying. Take a cautious
# user, who asks for a probability of 0.9:

# %%
yes = probs >= 0.9
found = metrics.threshold_metrics(yes, truth)
tried = yes.any(axis=0)  # (L,) labels that get a yes at all
dropped = metrics.threshold_metrics(yes[:, tried], truth[:, tried]).cp
print(f"labels that never get a yes:          {int((~tried).sum())} of {len(names)}")
print(f"CP, never predicted counts 0:         {100 * found.cp:.1f}")
print(f"CP, never predicted dropped (wrong):  {100 * dropped:.1f}")
print(f"CF1 {100 * found.cf1:.1f}   but macro-F1 {100 * found.macro_f1:.1f}"
      f"   and OF1 {100 * found.of1:.1f}")
print(f"scenes with exactly the right set {100 * found.exact_match:.1f} %,"
      f"   wrong entries (Hamming loss) {100 * found.hamming:.1f} %")

# %% [markdown]
# ### Exercise 1.2 · CF1 the right way

# %%
# %%exercise 1.2
def cf1(decisions: np.ndarray, targets: np.ndarray) -> float:
    """CF1: the harmonic mean of the labels' MEAN precision and their MEAN recall.

    Means first, harmonic mean after: this is not the mean of the labels' F1. A label that is never
    predicted has precision 0 in the mean. A label without a positive is left out of both means.
    Without a single hit CF1 is 0; without a single positive it is NaN.

    Shape:
        decisions (N, L) bool, targets (N, L) of 0 and 1 -> a number in [0, 1], or NaN

    Example:
        targets   [[1, 0, 0],      decisions [[1, 0, 0],
                   [1, 1, 0],                 [1, 1, 0],
                   [0, 1, 1],                 [1, 1, 0],
                   [0, 0, 1]]                 [1, 0, 0]]
        precision 2/4, 2/2, 0 (never predicted): mean .5; recall 2/2, 2/2, 0/2: mean .6667
        CF1 = 2 * .5 * .6667 / (.5 + .6667) = .5714, while the mean of the labels' F1 is .5556
    """
    raise NotImplementedError("Exercise 1.2: CF1 the right way")

# %% [markdown]
# ## 5 · What goes together
#
# The baseline answers 80 questions, each as if the others had not been asked. But labels of this
# world come in company. When label *i* is there, how often is label *j* there too? The answers fill
# a matrix of 80 x 80: notebook 00 drew it, and now you compute it, with one matrix product. Where
# your matrix is wrong, the grader draws the expected one beside it.
#
# ### Exercise 1.3 · The co-occurrence matrix

# %%
# %%exercise 1.3
def cooccurrence(targets: np.ndarray) -> np.ndarray:
    """How often label j is there when label i is: entry [i, j] is the share of the images with
    label i that have label j, too. The row of a label that never occurs is 0.

    Shape:
        targets (N, L) of 0 and 1, of any type: an array of bytes (uint8), too -> (L, L) in [0, 1]

    Example:
        targets [[1, 1, 0],
                 [1, 0, 0],
                 [1, 1, 0],
                 [1, 0, 0]]
        Label 0 is on four images, label 1 on two of these, label 2 on none:
        [[1, .5, 0],
         [1,  1, 0],
         [0,  0, 0]]
    """
    raise NotImplementedError("Exercise 1.3: The co-occurrence matrix")

# %% [markdown]
# Does the baseline know what goes together? Compare the truth with its own answers: given that a
# label got a yes, how often did its closest companion get one, too? (As many yeses as there are
# positives, so that the two can be compared.)

# %%
from hybridlab.viz.world import conditional_cooccurrence

cuts = [np.quantile(probs[:, at], 1 - share) for at, share in enumerate(truth.mean(axis=0))]
partners = np.nan_to_num(conditional_cooccurrence(targets)).argmax(axis=1)  # in training scenes
for words, labelled in (("in the truth", truth), ("in its answers", probs >= np.array(cuts))):
    share = np.nanmean(conditional_cooccurrence(labelled)[np.arange(len(names)), partners])
    print(f"a label's closest companion is there, too, {words + ':':15} {100 * share:.0f} %")

# %% [markdown]
# Its answers keep less company than the truth does. It can see the anchor or not; it cannot say
# "there is a sailboat, so look again for the anchor". Lesson 02 builds a model that can, and asks
# whether that helps.
#
# ## 6 · Rare labels, and losses for them
#
# Most entries of the target matrix are 0, and for a rare label nearly all are. It is tempting to
# blame the loss, and there are three well-known cures:
#
# - **Weighted BCE**: positives of label $l$ count $w_l$ times, often $w_l$ = negatives / positives.
# - **Focal loss**: each entry's cross-entropy is multiplied by $(1 - p_t)^\gamma$, with $p_t$ the
#   probability of the truth. What is right already counts little.
# - **Asymmetric loss** (ASL): negatives are focused more than positives, and a negative below a
#   margin $m$ counts nothing at all. With $p_m = \max(p - m, 0)$:
#   $-(1 - p)^{\gamma_+} \log p$ for a positive, $-p_m^{\gamma_-} \log (1 - p_m)$ for a negative.

# %%
from hybridlab import losses
from hybridlab.viz.imbalance import loss_figure

grid = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)


def cost(loss) -> tuple[np.ndarray, np.ndarray]:
    """Loss of a single entry at each probability: where the label is there, and where not."""
    logits = torch.logit(grid)
    both = [
        [float(loss(z.view(1, 1), torch.full((1, 1), target, dtype=torch.float64)))
         for z in logits]
        for target in (1.0, 0.0)
    ]
    return np.array(both[0]), np.array(both[1])


curves = {
    "BCE": cost(losses.masked_bce),
    "weighted BCE, w = 5": cost(lambda z, t: losses.weighted_bce(z, t, torch.tensor([5.0]))),
    "focal": cost(losses.focal_loss),
    "ASL": cost(losses.asymmetric_loss),
}
show(
    loss_figure(curves, grid.numpy()),
    alt="Two panels of loss against probability. Where the label is there, weighted BCE is five "
    "times BCE, focal loss and ASL lie below BCE. Where it is not, ASL is almost 0 up to a "
    "probability of one half, focal loss is lower than BCE.",
)

# %% [markdown]
# ### Exercise 1.4 · Weighted binary cross-entropy
#
# Mind the extremes: at a logit of -1000 the sigmoid is exactly 0, and its logarithm infinite. There
# is a function that never computes the sigmoid.

# %%
# %%exercise 1.4
def weighted_bce(
    logits: torch.Tensor, targets: torch.Tensor, pos_weight: torch.Tensor
) -> torch.Tensor:
    """Binary cross-entropy of logits in which the positives of label l count pos_weight[l] times.

    With p = sigmoid(logit), an entry costs -pos_weight * log(p) where the target is 1, and
    -log(1 - p) where it is 0. The loss is the mean over all B x L entries (not the sum over labels:
    the two differ by a factor of L). It must be exact at logits of 1000 and -1000, where p itself
    is 1 or 0, keep the dtype of the logits, and let gradients through.

    Shape:
        logits (B, L), targets (B, L) of 0. and 1., pos_weight (L,) -> a tensor without axes

    Example:
        logits [[0, 0]], targets [[1, 0]], pos_weight [3, 1]: p = .5, so the entries cost
        3 log 2 = 2.0794 and log 2 = .6931; their mean is 1.3863
    """
    raise NotImplementedError("Exercise 1.4: Weighted binary cross-entropy")

# %% [markdown]
# ### Exercise 1.5 · Asymmetric loss

# %%
# %%exercise 1.5
def asymmetric_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
) -> torch.Tensor:
    """ASL (Ridnik et al. 2021, arXiv 2009.14119): easy entries count less, easy negatives nothing.

    With p = sigmoid(logit) and p_m = max(p - clip, 0), an entry costs

        -(1 - p)^gamma_pos * log(p)      where the target is 1,
        -p_m^gamma_neg * log(1 - p_m)    where it is 0.

    The loss is the mean over all B x L entries (the paper's code sums). It must be finite, with
    finite gradients, at logits of 1000 and -1000, and keep the dtype. Gradients flow through both
    factors, as the formula is written.

    Shape:
        logits (B, L), targets (B, L) of 0. and 1. -> a tensor without axes

    Example:
        logits [[0, 0]], targets [[1, 0]]: p = .5 and p_m = .45, so the entries cost
        .5 log 2 = .3466 and .45^4 * .5978 = .0245; their mean is .1855
    """
    raise NotImplementedError("Exercise 1.5: Asymmetric loss")

# %% [markdown]
# > **Guess before you run.** Which of the four gives the best mAP? Which the best CF1 at a
# > threshold of 0.5? Does a loss that favours positives help the *ranking* of a label, which does
# > not care about the scale of its scores?

# %%
from functools import partial

weights = losses.positive_weights(shop.targets["train"])
heads = {
    "BCE": probs,
    "weighted BCE": train_head(partial(losses.weighted_bce, pos_weight=weights)),
    "focal": train_head(losses.focal_loss),
    "ASL": train_head(losses.asymmetric_loss),
}
there = truth.sum(axis=1).mean()
print(f"{'':13} {'mAP':>5}  CF1 at 0.5   yeses per scene at 0.5 (true: {there:.1f})")
for name, each in heads.items():
    print(f"{name:13} {100 * metrics.mean_ap(each, truth).value:5.1f}"
          f"  {100 * metrics.threshold_metrics(each >= 0.5, truth).cf1:10.1f}"
          f"   {(each >= 0.5).sum(axis=1).mean():.1f}")

# %%
from hybridlab.viz.imbalance import by_frequency_figure

counts = shop.targets["train"].sum(dim=0).numpy()
show(
    by_frequency_figure(
        counts, {name: metrics.mean_ap(each, truth).per_label for name, each in heads.items()},
        "mean AP", "The most frequent labels are ranked best, whatever the loss",
    ),
    alt="Mean average precision of four groups of labels, from the rarest to the most frequent, "
    "one line for each of four losses. The rarest labels are lowest and the most frequent highest.",
)

# %% [markdown]
# Would another seed say the same? A **study** runs every variant with several seeds on the same
# test scenes, and compares them with intervals. Here is a small one, live. It has few scenes and
# three seeds, so mind what it says it could have missed.

# %%
import tempfile

from hybridlab.ablation import Study, analyse, run_study
from hybridlab.studies.losses import RECIPE, run

small = Study(
    name="live", question="Does a weight on positives rank better?", run=run,
    recipe={**RECIPE, "train": 300, "val": 150, "test": 300, "linear_epochs": 20},
    variants={"BCE": {}, "weighted BCE": {"loss": "weighted BCE"}},
    reference="BCE", seeds=range(3),
)
with tempfile.TemporaryDirectory() as folder:
    run_study(small, folder, workers=1)
    live = analyse(folder)
print("mAP, weighted BCE against BCE:", live.row("weighted BCE").comparison.words)

# %% [markdown]
# The recorded study trains every loss with five seeds on 3,000 scenes, tests on 1,500, and decides
# in two ways: at 0.5, and at thresholds for each label that were fitted on *validation* scenes.
# `hybridlab reproduce 01` repeats it.

# %%
from hybridlab.ablation.findings import Analysis
from hybridlab.ablation.plots import interaction_plot, interaction_words
from hybridlab.course import recorded

study = {name: Analysis.from_json(each) for name, each in recorded("losses")["metrics"].items()}
show(
    interaction_plot(study["cf1"], ("decide", "loss")),
    alt=interaction_words(study["cf1"], ("decide", "loss")),
)

# %%
print(f"{'loss':13} {'mAP':>6} {'CF1 at 0.5':>12} {'CF1 at fitted thresholds':>26}")
for loss in heads:
    half, fitted = (f"loss={loss}, decide={how}" for how in ("at 0.5", "at fitted thresholds"))
    print(f"{loss:13} {100 * study['mean_ap'].row(half).mean:6.1f}"
          f" {100 * study['cf1'].row(half).mean:12.1f}"
          f" {100 * study['cf1'].row(fitted).mean:26.1f}")
gain = study["mean_ap"].row("loss=weighted BCE, decide=at 0.5").comparison
print("\nmAP, weighted BCE against BCE:", gain.words)

# %% [markdown]
# Read it twice, for it contradicts the usual story. (1) **Weights do rank a little better here**:
# a point and a half of mAP. Focal loss and ASL rank worse than plain BCE in this recipe. (2) **At
# 0.5 weights and ASL look like a disaster**: they push all probabilities up, so 0.5 is no longer
# where yes begins. Judged at 0.5 alone one would throw away the best ranking of the four.
# (3) **Fitted thresholds are worth more than any of the losses**, and with them the four lie within
# a few points. So never compare losses at a fixed threshold.
#
# We did not guess well. Before the study ran, we wrote down what we expected: no gain in mAP from
# weights (wrong, see 1), a better CF1 at 0.5 with weights and ASL (wrong, see 2), and no gain left
# with fitted thresholds. The words are kept in `hybridlab/studies/losses.py`.
#
# And the rarest third of the labels, for which weights are made? We expected a gain. The same runs,
# measured on these 26 labels alone:

# %%
rare = Analysis.from_json(recorded("losses_rare")["metrics"]["mean_ap"])
for row in rare.rows:
    if row.name.endswith("at 0.5"):
        words = "the reference" if row.comparison is None else row.comparison.words
        print(f"{row.name.split(',')[0]:18} mAP of rare labels {100 * row.mean:.1f}: {words}")

# %% [markdown]
# No gain is *shown* for them: the interval leaves out 0, but after Holm's correction for seven
# comparisons the p-value does not allow the word. And in a world whose labels are equally frequent?

# %%
balanced = {
    name: Analysis.from_json(each) for name, each in recorded("losses_balanced")["metrics"].items()
}
print(f"{'loss':13} {'mAP':>6} {'CF1 at 0.5':>12} {'CF1 at fitted thresholds':>26}")
for loss in heads:
    half, fitted = (f"loss={loss}, decide={how}" for how in ("at 0.5", "at fitted thresholds"))
    print(f"{loss:13} {100 * balanced['mean_ap'].row(half).mean:6.1f}"
          f" {100 * balanced['cf1'].row(half).mean:12.1f}"
          f" {100 * balanced['cf1'].row(fitted).mean:26.1f}")

# %% [markdown]
# The same picture. Whether or not labels are equally frequent, the positives *within* a label are
# always few: that is the imbalance which multi-label data always have.
#
# ## 7 · Decisions by rank: which top-3?
#
# Many papers avoid thresholds and decide by rank: the three best labels of each image. The CNN-RNN
# paper always emits three. Later papers take, of the three, only those that the model says yes to.
# Both are called "top-3". The shyer the model, the further they are apart: look at a model that
# says yes only from 0.9 up.

# %%
senses = {
    "always three": metrics.top_k_decisions(probs, 3),
    "of the three, those from 0.5 up": metrics.top_k_decisions(probs, 3, "prob>=0.5"),
    "of the three, those from 0.9 up": metrics.top_k_decisions(probs, 3, "prob>=0.5", cut=0.9),
}
for words, decisions in senses.items():
    top = metrics.threshold_metrics(decisions, truth)
    print(f"{words:33} CP {100 * top.cp:4.1f}  CR {100 * top.cr:4.1f}  CF1 {100 * top.cf1:4.1f}"
          f"   OP {100 * top.op:4.1f}  OR {100 * top.or_:4.1f}  OF1 {100 * top.of1:4.1f}")

# %% [markdown]
# ### Exercise 1.6 · Top-k in both senses

# %%
# %%exercise 1.6
def top_k_always(scores: np.ndarray, k: int) -> np.ndarray:
    """The k highest scores of each image as decisions: exactly k labels, however low they score.

    Of equal scores the lower column comes first.

    Shape:
        scores (N, L), k from 1 to L -> (N, L) bool

    Example:
        scores [[.9, .6, .2], [.4, .1, .4]] with k = 2 -> [[T, T, F], [T, F, T]]
    """
    raise NotImplementedError("Exercise 1.6: Top-k in two senses")


def top_k_confident(scores: np.ndarray, k: int, cut: float = 0.5) -> np.ndarray:
    """Of the k labels of `top_k_always`, those that score `cut` or more: at most k, maybe none.

    Shape:
        scores (N, L), k from 1 to L -> (N, L) bool

    Example:
        scores [[.9, .6, .2], [.4, .1, .4]] with k = 2 -> [[T, T, F], [F, F, F]]
    """
    raise NotImplementedError("Exercise 1.6: Top-k in two senses")

# %% [markdown]
# ## 8 · What to remember
#
# - Accuracy rewards silence. Look at rankings (AP, mAP) *and* at decisions (precision, recall).
# - An AP without its kind, its ties and its absent labels is not yet a number.
# - CF1 is a harmonic mean of means; a label that is never predicted has precision 0 in it.
# - "Top-3" and "MAP" each mean two things. Say which, and never mix them in one table.
# - A threshold is a decision of its own. Fit it on validation scenes before you compare losses.
#
# ## Quiz
#
# **1.** A label is in 3 of 1,000 images. A classifier gives all images the same score for it. What
# is its AP?
#
# <details><summary>Answer</summary>
#
# 0.003. All images are tied, so they are one step: at recall 1 the precision is 3 / 1,000. An
# implementation that sorts and ignores ties gives whatever the order of the file gives, anything
# from 0.002 to 1.
#
# </details>
#
# <br>
#
# **2.** A model predicts only the ten labels that it knows best, each with precision 1. The other
# 70 never get a yes. A paper reports CP = 1.0. What happened, and what is its CP?
#
# <details><summary>Answer</summary>
#
# The paper left labels without a prediction out of the mean. Counted as 0, CP = 10 / 80 = 0.125.
#
# </details>
#
# <br>
#
# **3.** You multiply all logits of one label by 3 and subtract 1. Which change: its AP, CF1 at 0.5,
# OF1 at thresholds that are fitted anew on validation scenes?
#
# <details><summary>Answer</summary>
#
# CF1 at 0.5 does: other images lie above 0.5. The AP stays, for the order within the label is the
# same. Fitted thresholds move along with the scores, so decisions and OF1 stay, too.
#
# </details>
#
# <br>
#
# **4.** Why does the top-3 that always emits three labels have so little precision on images with
# one or two labels, and why does no better model help?
#
# <details><summary>Answer</summary>
#
# It must be wrong at least once or twice on each of them: an image with one label allows a
# precision of 1/3 at most.
#
# </details>
#
# ## Exercises
#
# The table shows where you stand. In a terminal, `hybridlab grade 1` does the same, and
# `hybridlab grade` shows all lessons. Then go on to lesson 02: can labels help to predict labels?

# %%
check(1)

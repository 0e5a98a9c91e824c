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
# # 00 · Start here
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/hybridlab/hybridlab/blob/main/notebooks/00_start_here.ipynb)
#
# A picture rarely shows one thing. In this course you build a classifier that names **all** that
# it sees. It has two views of a picture. One reads it piece by piece and writes labels one after
# another (a CNN-RNN). The other compares the picture with words (CLIP). You will train both, fuse
# them, decide when a probability is a yes, and measure what each part is worth.
#
# **After this notebook you can**
# 1. say whether your machine is ready, and what to do if it is not;
# 2. label a picture with a trained hybrid, and read what it says;
# 3. describe the small world that all lessons share, and what "co-occurrence" means in it;
# 4. tell apart the three voices of the hybrid: the fused labels, the decoder, and CLIP;
# 5. read a comparison that rests on more than one run, and find your way through the course.
#
# | | |
# |---|---|
# | **You need** | some Python; no knowledge of neural networks yet |
# | **Time** | about 15 minutes to read; the cells run in under a minute on two processor cores |
# | **Difficulty** | easy |
#
# Run a cell with Shift + Enter. Every figure and table below is also stored in the notebook, so
# you can read it without running anything.

# %% [markdown]
# ## 1 · Is this machine ready?
#
# The doctor looks at Python, the packages, the files that the course brings along, and the speed
# of this machine. Beside each finding it says what to do. `hybridlab doctor` prints the same in a
# terminal.

# %%
import os

# "quick" is for a first read and for the tests; "full" shows more. The same code runs in both.
FULL = os.environ.get("HYBRIDLAB_PROFILE", "quick") == "full"

# %%
from hybridlab import doctor

doctor.show(doctor.diagnose())

# %% [markdown]
# ## 2 · Label a picture, now
#
# The package comes with a small hybrid that is already trained. One cell is all it takes: take the
# first test scene, which it has never seen, ask for its labels, and draw both.

# %%
from hybridlab import Predictor, SceneDataset, shipped_bundle
from hybridlab.viz.notebook import show, show_labelled

scenes = SceneDataset(1000, split="test")
scene = scenes[0]
predictor = Predictor(shipped_bundle())
prediction = predictor.predict(scene.image)[0]
show_labelled([scene], [prediction], scenes.vocabulary)

# %% [markdown]
# The same in words:

# %%
truth = set(scenes.vocabulary.decode(scene.targets))
given = set(prediction.labels)
print("right: ", ", ".join(sorted(truth & given)) or "-")
print("missed:", ", ".join(sorted(truth - given)) or "-")
print("wrong: ", ", ".join(sorted(given - truth)) or "-")

# %% [markdown]
# One scene proves nothing. Here are more, all unseen, in the order in which they come. Nobody
# picked the good ones.

# %%
count = 12 if FULL else 8
several = [scenes[index] for index in range(count)]
predictions = predictor.predict([one.image for one in several])
show_labelled(several, predictions, scenes.vocabulary)

# %% [markdown]
# > **Look for a pattern.** Which objects does it miss? When it is wrong, is the wrong label at
# > least something that would *fit* the scene, or its other wrong labels? And how sure is it when
# > it is wrong? Lesson 02 comes back to the first two, lesson 07 to the third: a probability of
# > 0.90 is a promise that has to be checked.
#
# The slider below shows other scenes. It needs a running kernel; without one, you see the first.

# %%
from hybridlab.viz.explore import explore


def labelled(scene: int) -> object:
    """One test scene with what the hybrid says about it."""
    return show_labelled(
        [scenes[scene]], predictor.predict(scenes[scene].image), scenes.vocabulary
    )


explore(labelled, scene=range(count, len(scenes)))

# %% [markdown]
# ## 3 · The small world
#
# All lessons share one world: 80 labels in ten contexts, drawn from emoji. It needs no download.
# The truth about each scene is known: what is in it, where it is, and what lies on top of what.
# And its difficulty is in your hands: it has *dials*. Here is one at its two ends; its default is
# 0.75. The background is drawn by chance and gives nothing away.

# %%
from hybridlab import SceneConfig
from hybridlab.viz.world import scene_sheet

show(
    scene_sheet(
        list(SceneDataset(4, config=SceneConfig(seed=1, cooccurrence=1.0))),
        scenes.vocabulary.names,
        title="With the dial “cooccurrence” at 1, all labels of a scene belong together",
    ),
    alt="Four scenes with their labels under them. All labels of a scene come from one context.",
)

# %%
show(
    scene_sheet(
        list(SceneDataset(4, config=SceneConfig(seed=1, cooccurrence=0.0))),
        scenes.vocabulary.names,
        title="With the dial “cooccurrence” at 0, anything goes with anything",
    ),
    alt="Four scenes with their labels under them, drawn from all contexts without regard to each "
    "other.",
)

# %% [markdown]
# *Co-occurrence* is how often labels appear together. Ask of each pair of labels: when the first
# is in a scene, how often is the second there too? The answers fill a matrix of 80 x 80.

# %%
from hybridlab.data.scenes import label_matrix
from hybridlab.viz.world import cooccurrence_figure

targets = label_matrix(SceneDataset(20_000 if FULL else 4_000))
show(
    cooccurrence_figure(targets),
    alt="A matrix of 80 by 80 labels. Ten bright blocks lie along the diagonal, one for each "
    "context, and within each block pairs of partners are brightest. All else is dark.",
)

# %% [markdown]
# Ten blocks, one for each context. The brightest spots are *partners*, such as sailboat and
# anchor. This is what a label decoder can learn: if there is a sailboat, look for an anchor. With
# the dial at 0 the blocks vanish, and there is nothing to learn from other labels. So the question
# "do labels help to predict labels?" has a true answer here, and you can turn it up and down.

# %% [markdown]
# ## 4 · Three voices
#
# The labels above are the hybrid's last word. Two views stand behind it. The **decoder** writes
# labels one by one, like a sentence, and says itself when to stop:

# %%
for one, answer in zip(several[:4], predictions[:4], strict=True):
    print("in the scene:    ", ", ".join(scenes.vocabulary.decode(one.targets)))
    print("decoder wrote:   ", " -> ".join([*answer.decoder_order, "STOP"]))
    print("hybrid's answer: ", ", ".join(answer.labels) or "-", end="\n\n")

# %% [markdown]
# **CLIP** knows no list of labels at all. It puts pictures and words into one space, and measures
# how close they are. So you may ask it in words that
# are no label of ours. Change them and run the cell again:

# %%
from hybridlab import build_clip
from hybridlab.data.world import with_article
from hybridlab.viz.words import word_figure, word_scores

words = [
    *(with_article(label) for label in scenes.vocabulary.decode(scene.targets)),
    "a vehicle", "a musical instrument", "a tool", "a pizza", "a smiling face",
]

clip = build_clip("tiny")
scores = word_scores(clip, scene.image, words)
show(
    word_figure(scene.image, words, scores),
    alt="The scene, and a bar for each phrase that shows how well it fits the best patch of the "
    "picture. A longer bar is a better fit.",
)

# %% [markdown]
# These numbers are similarities, not probabilities: they need not add up to 1, and several words
# may fit at once. This CLIP has read the names of emoji and little else, so "a vehicle" or "a
# musical instrument" are hardly words to it: look at their bars, on a scene that shows neither. And
# look at the labels that the hybrid missed: some fit a patch well. Of CLIP, the hybrid sees one
# vector for the whole picture, in which small things drown. Lesson 03 trains such a model, and
# lesson 04 asks what words alone can do.

# %% [markdown]
# ## 5 · Does it pay to have both?
#
# Guess before you look: does the fusion of both views beat the better one alone? One trained model
# cannot tell, for another seed would give other figures. So each of twelve variants was trained
# with five seeds, on 3,000 scenes, and tested on the same 1,000. That takes half an hour on two
# cores: `hybridlab reproduce 00` does it, and this figure is drawn from what it recorded.

# %%
from hybridlab.ablation.findings import Analysis
from hybridlab.ablation.plots import forest_plot, forest_words
from hybridlab.course import recorded

views = Analysis.from_json(recorded("views")["metrics"]["mean_ap"])
show(forest_plot(views), alt=forest_words(views))

# %% [markdown]
# Each line is a difference in *mAP*, a measure of how well a method ranks labels (lesson 01), to
# the best single view, with the range in which it may truly lie. What stands left of 0 is worse.
# What is the surprise? The decoder helps much or harms, according to **what of it** enters the
# fusion: its opinion of each label, or its last hidden state. Lessons 05 and 08 find out why.

# %% [markdown]
# ## 6 · The map of the course

# %%
from pathlib import Path

from hybridlab.course import LESSONS, notebook_of
from hybridlab.viz.course_map import course_map

show(
    course_map({lesson.number for lesson in LESSONS if notebook_of(lesson, Path.cwd())}),
    alt="Fifteen lessons as boxes with arrows. 00 leads to 01. From there one path goes through "
    "label decoding, the other through CLIP and zero-shot labels. They meet in 05, fusion. Then "
    "follow training, thresholds, ablations and your own data, and Part II with captions, video, "
    "questions, graphs and memory. The table below says the same.",
)

# %%
from IPython.display import Markdown

rows = [
    f"| {lesson.number:02d} | {lesson.title} | {lesson.question} "
    f"| {', '.join(f'{need:02d}' for need in lesson.needs) or '-'} |"
    for lesson in LESSONS
]
head = ["| no. | lesson | the question it answers | after |", "|---|---|---|---|"]
Markdown("\n".join([*head, *rows]))

# %% [markdown]
# ## 7 · What to remember
#
# - A picture has a **set** of labels. A multi-label classifier answers "yes or no?" for each one.
# - A probability becomes a yes at a **threshold**, and each label has its own.
# - Right, missed, wrong: these three counts are behind most measures of lesson 01.
# - The decoder can use what goes together; CLIP can use words. Fusion is the attempt to have both.
#
# ## Quiz
#
# **1.** The hybrid gives "bus" a probability of 0.40 and says yes. It gives "cow" 0.60 and says
# no. Is that a mistake?
#
# <details><summary>Answer</summary>
#
# No. Each label has its own threshold, fitted on validation scenes. A yes at 0.40 and a no at 0.60
# are both fine if the thresholds are 0.35 and 0.65. Lesson 07 shows where they come from.
#
# </details>
#
# <br>
#
# **2.** You turn `cooccurrence` to 0 and train the whole hybrid anew. Which of its two views loses
# more, and why?
#
# <details><summary>Answer</summary>
#
# One would expect the decoder. It can use the labels that it has already written to guess the next
# ones, and with the dial at 0 they say nothing about each other. CLIP looks at the picture only.
# How much each view loses is something to measure, not to believe: lesson 02 turns the dial.
#
# </details>
#
# <br>
#
# **3.** CLIP scores "a cow" 0.31 and "an animal" 0.29 on the same scene. May one conclude that a
# cow is more probable than an animal?
#
# <details><summary>Answer</summary>
#
# No. The scores are similarities of a picture with a phrase, and phrases differ in how high they
# score in general. A cow *is* an animal, so as probabilities the two could not even stand in that
# order. To compare labels with each other, scores have to be calibrated first (lesson 04).
#
# </details>
#
# ## What to do next
#
# - **Train your own hybrid**: `make demo` in a terminal. You watch it learn, and it ends with a
#   table that compares it with its parts. `hybridlab demo --quick` shows every stage in less time.
# - **Label your own drawings**: `hybridlab predict shipped PICTURE.png`. It knows this world only;
#   on photographs it guesses. Lesson 09 is about photographs.
# - **See more of the world**: `hybridlab world --out scenes.png --cooccurrence 0.2 --clutter 0.9`.
# - Then go on with lesson 01, [*Many labels at once*](01_many_labels.ipynb).

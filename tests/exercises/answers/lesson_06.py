"""Known answers to lesson 06, for the proof that the checks are right (`make prove`).

A wrong answer is one that a student would write; `says` is a piece of the diagnosis that it must
get. A right one is written in another way than the solution, and must pass. What an answer does
not define is taken from the solution.
"""
# ruff: noqa: F811

import math

import torch
import torch.nn.functional as F

NORMS = ("BatchNorm1d", "BatchNorm2d")


def _collect(modules, learns, rests=NORMS):
    """What learns, by a condition on the name."""
    found = {"gradients": [], "training": []}
    for module in modules:
        if learns(module["name"]):
            found["gradients"].extend(module["parameters"])
            if module["kind"] not in rests:
                found["training"].append(module["name"])
    return found


def _within(name, part):
    """Whether a part names a module."""
    return part in ("", name) or name.startswith(part + ".")


def _fall(t):
    """Half a cosine."""
    return (1 + math.cos(math.pi * t)) / 2


def _number(name):
    """The block of a name, or None."""
    parts = name.split(".")
    return int(parts[parts.index("blocks") + 1]) if "blocks" in parts else None


def _steps_below(names):
    """How often each rate is decayed."""
    blocks = [_number(name) for name in names]
    last = max(each for each in blocks if each is not None)
    below, seen = [], False
    for each in blocks:
        seen = seen or each is not None
        below.append(last + 1 - each if each is not None else 0 if seen else last + 2)
    return below


def _share(progress, begin, full):
    """The share that is admitted."""
    return 1.0 if progress >= full else begin + (1 - begin) * progress / full


def _first(difficulty, count):
    """The easiest `count` rows."""
    admitted = torch.zeros(len(difficulty), dtype=torch.bool)
    admitted[torch.argsort(difficulty, stable=True)[:count]] = True
    return admitted


def _up(value):
    """Rounded up."""
    return math.ceil(value - 1e-9)


def _decay(decay, step):
    """What is kept."""
    return min(decay, (1 + step) / (10 + step))


def _averaged(average, weights, keep, others=lambda old, new: new.clone()):
    """By one share for all."""
    return {
        name: keep * average[name] + (1 - keep) * new if new.is_floating_point()
        else others(average[name], new) for name, new in weights.items()
    }


def _of_part(some, truth, weight):
    """The gradient of the summed loss of a part."""
    error = torch.sigmoid(some @ weight.T) - truth.to(weight.dtype)
    return error.masked_fill(truth < 0, 0).T @ some


def _cut(inputs, targets, parts):
    """Pairs of pieces."""
    return list(zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True))


def _clip(images, texts, scale):
    """CLIP's loss."""
    logits, right = scale * images @ texts.T, torch.arange(len(images))
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


# === 6.1 ========================================================================================


# %% Wrong 6.1: norms measure
# says: Your BatchNorms are in training mode
def what_learns(modules, learning):
    return _collect(modules, lambda name: any(_within(name, part) for part in learning), ())


# %% Wrong 6.1: norms do not learn
# says: You left out the scale and shift of BatchNorms
def what_learns(modules, learning):
    kept = [module for module in modules if module["kind"] not in NORMS]
    return _collect(kept, lambda name: any(_within(name, part) for part in learning))


# %% Wrong 6.1: all norms rest
# says: All norms rest in your result
def what_learns(modules, learning):
    rests = (*NORMS, "LayerNorm", "GroupNorm")
    return _collect(modules, lambda name: any(_within(name, part) for part in learning), rests)


# %% Wrong 6.1: startswith
# says: A name that merely begins alike
def what_learns(modules, learning):
    return _collect(modules, lambda name: name.startswith(tuple(learning)))


# %% Wrong 6.1: in
# says: A name that holds the part somewhere
def what_learns(modules, learning):
    return _collect(modules, lambda name: any(part in name for part in learning))


# %% Wrong 6.1: the exact name
# says: Only modules with exactly the name of a part
def what_learns(modules, learning):
    return _collect(modules, lambda name: name in learning or "" in learning)


# %% Wrong 6.1: the other way round
# says: You have it the other way round
def what_learns(modules, learning):
    return _collect(modules, lambda name: not any(_within(name, part) for part in learning))


# %% Wrong 6.1: the empty part names nothing
# says: The part "" names everything
def what_learns(modules, learning):
    return _collect(
        modules, lambda name: any(part and _within(name, part) for part in learning))


# %% Wrong 6.1: a pair
# says: expected a dictionary with the keys
def what_learns(modules, learning):
    found = _collect(modules, lambda name: any(_within(name, part) for part in learning))
    return found["gradients"], found["training"]


# %% Right 6.1: in two passes
def what_learns(modules, learning):
    chosen = [module for module in modules
              if any((module["name"] + ".").startswith(part + ".") or not part
                     for part in learning)]
    return {
        "gradients": [name for module in chosen for name in module["parameters"]],
        "training": [module["name"] for module in chosen
                     if not module["kind"].startswith("BatchNorm")],
    }


# %% Right 6.1: by pieces of the name
def what_learns(modules, learning):
    def learns(name):
        pieces = name.split(".")
        return any(not part or pieces[: len(part.split("."))] == part.split(".")
                   for part in learning)

    return _collect(modules, learns)


# === 6.2 ========================================================================================


# %% Wrong 6.2: begins at 0
# says: Your warm-up begins at 0
def rate_share(step, steps, warmup):
    return step / warmup if step < warmup else _fall((step - warmup) / (steps - warmup))


# %% Wrong 6.2: ends late
# says: Your warm-up ends one step late
def rate_share(step, steps, warmup):
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return _fall((step - warmup) / (steps - warmup))


# %% Wrong 6.2: over all steps
# says: Your cosine runs over all steps
def rate_share(step, steps, warmup):
    return (step + 1) / warmup if step < warmup else _fall(step / steps)


# %% Wrong 6.2: cut off
# says: Your cosine is cut off
def rate_share(step, steps, warmup):
    return (step + 1) / warmup if step < warmup else _fall((step - warmup) / steps)


# %% Wrong 6.2: reaches 0
# says: Your cosine reaches 0 at the last step
def rate_share(step, steps, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return _fall((step - warmup) / max(1, steps - warmup - 1))


# %% Wrong 6.2: a line
# says: That is a straight line after the warm-up
def rate_share(step, steps, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 1 - (step - warmup) / (steps - warmup)


# %% Wrong 6.2: a quarter
# says: That is a quarter of a cosine
def rate_share(step, steps, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return math.cos(math.pi / 2 * (step - warmup) / (steps - warmup))


# %% Wrong 6.2: not shifted
# says: cos(pi t) goes from 1 to -1
def rate_share(step, steps, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return math.cos(math.pi * (step - warmup) / (steps - warmup))


# %% Wrong 6.2: no warm-up
# says: The warm-up is missing
def rate_share(step, steps, warmup):
    return 1.0 if step < warmup else _fall((step - warmup) / (steps - warmup))


# %% Wrong 6.2: divides by the warm-up
# says: Without warm-up there is nothing to divide by
def rate_share(step, steps, warmup):
    grown = (step + 1) / warmup
    return grown if step < warmup else _fall((step - warmup) / max(1, steps - warmup))


# %% Right 6.2: by the sine
def rate_share(step, steps, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return math.cos(math.pi * (step - warmup) / (2 * max(1, steps - warmup))) ** 2


# %% Right 6.2: the smaller of two
def rate_share(step, steps, warmup):
    left = max(1, steps - warmup)
    return min((step + 1) / max(1, warmup), 1.0) * _fall(max(0, step - warmup) / left)


# === 6.3 ========================================================================================


# %% Wrong 6.3: towards the image
# says: Your rates grow towards the image
def layer_rates(names, lr, decay):
    below = _steps_below(names)
    return [lr * decay ** (max(below) - each) for each in below]


# %% Wrong 6.3: the last block whole
# says: The last block has the whole rate
def layer_rates(names, lr, decay):
    return [lr * decay ** max(0, each - 1) for each in _steps_below(names)]


# %% Wrong 6.3: the stem with block 0
# says: What stands before block 0 has the rate of block 0
def layer_rates(names, lr, decay):
    below = _steps_below(names)
    return [lr * decay ** (each - (each == max(below))) for each in below]


# %% Wrong 6.3: the stem whole
# says: What stands before block 0 has the whole rate
def layer_rates(names, lr, decay):
    return [lr * decay ** (each if _number(name) is not None else 0)
            for name, each in zip(names, _steps_below(names), strict=True)]


# %% Wrong 6.3: each name
# says: Each parameter has a rate of its own
def layer_rates(names, lr, decay):
    return [lr * decay ** (len(names) - 1 - at) for at in range(len(names))]


# %% Wrong 6.3: a fixed amount
# says: You lowered the rate by a fixed amount
def layer_rates(names, lr, decay):
    return [lr * max(0, 1 - each * (1 - decay)) for each in _steps_below(names)]


# %% Wrong 6.3: the head decayed
# says: What stands behind the last block is decayed
def layer_rates(names, lr, decay):
    return [lr * decay ** (each + 1) for each in _steps_below(names)]


# %% Wrong 6.3: all alike
# says: All parameters have lr
def layer_rates(names, lr, decay):
    return [lr for _ in names]


# %% Wrong 6.3: as text
# says: in the order of text
def layer_rates(names, lr, decay):
    def number(name):
        return name.split("blocks.")[1].split(".")[0] if "blocks." in name else None

    order = sorted({number(name) for name in names} - {None})
    rates, seen = [], False
    for name in names:
        its = number(name)
        seen = seen or its is not None
        below = len(order) - order.index(its) if its is not None else 0 if seen else len(order) + 1
        rates.append(lr * decay**below)
    return rates


# %% Wrong 6.3: a dictionary
# says: expected a list of numbers
def layer_rates(names, lr, decay):
    return {name: lr * decay**each
            for name, each in zip(names, _steps_below(names), strict=True)}


# %% Right 6.3: from the top down
def layer_rates(names, lr, decay):
    rates, rate, block, behind = [], lr, None, True
    for name in reversed(names):
        its = _number(name)
        if its is None and not behind and block != "stem":
            rate, block = rate * decay, "stem"
        elif its is not None and its != block:
            rate, block, behind = rate * decay, its, False
        rates.append(rate)
    return rates[::-1]


# %% Right 6.3: by powers
def layer_rates(names, lr, decay):
    return [lr * math.exp(each * math.log(decay)) for each in _steps_below(names)]


# === 6.4 ========================================================================================


# %% Wrong 6.4: the hardest
# says: You admit the hardest rows
def easiest(difficulty, progress, begin, full):
    return _first(-difficulty, _up(_share(progress, begin, full) * len(difficulty)))


# %% Wrong 6.4: rounded down
# says: You rounded down
def easiest(difficulty, progress, begin, full):
    return _first(difficulty, int(_share(progress, begin, full) * len(difficulty)))


# %% Wrong 6.4: full at the end
# says: Your share grows to 1 at the end
def easiest(difficulty, progress, begin, full):
    share = 1.0 if progress >= full else begin + (1 - begin) * progress
    return _first(difficulty, _up(share * len(difficulty)))


# %% Wrong 6.4: stays
# says: Your share stays at begin
def easiest(difficulty, progress, begin, full):
    share = 1.0 if progress >= full else begin
    return _first(difficulty, _up(share * len(difficulty)))


# %% Wrong 6.4: from 0
# says: Your share grows from 0
def easiest(difficulty, progress, begin, full):
    share = 1.0 if progress >= full else progress / full
    return _first(difficulty, _up(share * len(difficulty)))


# %% Wrong 6.4: past 1
# says: Your share passes 1 before
def easiest(difficulty, progress, begin, full):
    share = 1.0 if progress >= full else min(1.0, begin + progress / full)
    return _first(difficulty, _up(share * len(difficulty)))


# %% Wrong 6.4: whatever comes first
# says: You admit the rows that stand first
def easiest(difficulty, progress, begin, full):
    count = _up(_share(progress, begin, full) * len(difficulty))
    return torch.arange(len(difficulty)) < count


# %% Wrong 6.4: order for ranks
# says: mark places in the sorted order, not rows
def easiest(difficulty, progress, begin, full):
    count = _up(_share(progress, begin, full) * len(difficulty))
    return difficulty.argsort(stable=True) < count


# %% Wrong 6.4: by a limit
# says: You admit all rows up to a difficulty
def easiest(difficulty, progress, begin, full):
    count = _up(_share(progress, begin, full) * len(difficulty))
    return difficulty <= difficulty.sort().values[count - 1]


# %% Wrong 6.4: divides by full
# says: With full = 0 all rows are admitted
def easiest(difficulty, progress, begin, full):
    share = min(1.0, begin + (1 - begin) * progress / full)
    return _first(difficulty, _up(share * len(difficulty)))


# %% Right 6.4: by ranks
def easiest(difficulty, progress, begin, full):
    ranks = difficulty.argsort(stable=True).argsort()
    return ranks < _up(_share(progress, begin, full) * len(difficulty))


# %% Right 6.4: one by one
def easiest(difficulty, progress, begin, full):
    count = _up(_share(progress, begin, full) * len(difficulty))
    rows = sorted(range(len(difficulty)), key=lambda row: (float(difficulty[row]), row))
    return torch.tensor([row in set(rows[:count]) for row in range(len(difficulty))])


# === 6.5 ========================================================================================


# %% Wrong 6.5: the other way round
# says: You have the shares the other way round
def ema_update(average, weights, decay, step):
    return _averaged(average, weights, 1 - _decay(decay, step))


# %% Wrong 6.5: more than 1
# says: The shares add up to more than 1
def ema_update(average, weights, decay, step):
    keep = _decay(decay, step)
    return {name: average[name] + (1 - keep) * new if new.is_floating_point() else new.clone()
            for name, new in weights.items()}


# %% Wrong 6.5: nothing new
# says: That is the average as it was
def ema_update(average, weights, decay, step):
    return {name: value.clone() for name, value in average.items()}


# %% Wrong 6.5: all new
# says: Those are the new weights
def ema_update(average, weights, decay, step):
    return {name: value.clone() for name, value in weights.items()}


# %% Wrong 6.5: the larger
# says: d is the larger of the two
def ema_update(average, weights, decay, step):
    return _averaged(average, weights, max(decay, (1 + step) / (10 + step)))


# %% Wrong 6.5: 1 above
# says: d is 1 / (10 + step)
def ema_update(average, weights, decay, step):
    return _averaged(average, weights, min(decay, 1 / (10 + step)))


# %% Wrong 6.5: counts averaged
# says: Whole numbers were averaged
def ema_update(average, weights, decay, step):
    keep = _decay(decay, step)
    return {name: keep * average[name] + (1 - keep) * new for name, new in weights.items()}


# %% Wrong 6.5: old counts
# says: You kept the old count
def ema_update(average, weights, decay, step):
    return _averaged(average, weights, _decay(decay, step), lambda old, new: old.clone())


# %% Wrong 6.5: a list
# says: expected a dictionary with the names
def ema_update(average, weights, decay, step):
    return list(_averaged(average, weights, _decay(decay, step)).values())


# %% Right 6.5: lerp
def ema_update(average, weights, decay, step):
    moved = 1 - _decay(decay, step)
    return {name: torch.lerp(average[name], new, moved) if new.is_floating_point() else new
            for name, new in weights.items()}


# %% Right 6.5: the difference
def ema_update(average, weights, decay, step):
    found = {}
    for name, new in weights.items():
        found[name] = new.clone()
        if new.dtype.is_floating_point:
            found[name] = average[name] + (1 - _decay(decay, step)) * (new - average[name])
    return found


# === 6.6 ========================================================================================


# %% Wrong 6.6: in place
# says: Writing empties the file first
def save_steps(target):
    return [("write", target), ("flush", target)]


# %% Wrong 6.6: no flush
# says: Flush before you rename
def save_steps(target):
    return [("write", "part"), ("rename", "part", target)]


# %% Wrong 6.6: flush too late
# says: Flush before you rename
def save_steps(target):
    return [("write", "part"), ("rename", "part", target), ("flush", target)]


# %% Wrong 6.6: removed first
# says: Between the removal and the rename there is no file
def save_steps(target):
    return [("write", "part"), ("flush", "part"), ("remove", target), ("rename", "part", target)]


# %% Wrong 6.6: moved away first
# says: You moved the old file away first
def save_steps(target):
    return [("write", "part"), ("flush", "part"), ("rename", target, "old"),
            ("rename", "part", target), ("remove", "old")]


# %% Wrong 6.6: never renamed
# says: The new content must end up under the name of the target
def save_steps(target):
    return [("write", "part"), ("flush", "part")]


# %% Wrong 6.6: something left behind
# says: is left behind
def save_steps(target):
    return [("write", "part"), ("write", "copy"), ("flush", "part"), ("rename", "part", target)]


# %% Wrong 6.6: another name
# says: there is no file
def save_steps(target):
    return [("write", target + ".part"), ("flush", "part"), ("rename", "part", target)]


# %% Wrong 6.6: unknown operations
# says: expected one of
def save_steps(target):
    return [("open", "part"), ("write", "part"), ("flush", "part"), ("rename", "part", target)]


# %% Right 6.6: with a second copy, and lists
def save_steps(target):
    return [["write", ".copy"], ["flush", ".copy"], ["write", ".part"], ["flush", ".part"],
            ["remove", ".copy"], ["rename", ".part", target]]


# %% Right 6.6: flushed twice
def save_steps(target):
    part = f".{target}.tmp"
    return [("write", part), ("flush", part), ("flush", part), ("rename", part, target),
            ("flush", target)]


# === 6.7 ========================================================================================


# %% Wrong 6.7: mean of means
# says: You took the mean of the parts' means
def accumulated_gradient(inputs, targets, weight, parts):
    found = [_of_part(some, truth, weight) / (truth >= 0).sum().clamp(min=1)
             for some, truth in _cut(inputs, targets, parts) if len(some)]
    return torch.stack(found).mean(dim=0)


# %% Wrong 6.7: sum of means
# says: You added up the parts' means
def accumulated_gradient(inputs, targets, weight, parts):
    return sum(_of_part(some, truth, weight) / (truth >= 0).sum().clamp(min=1)
               for some, truth in _cut(inputs, targets, parts))


# %% Wrong 6.7: weighed by rows
# says: You weighed the parts by their rows
def accumulated_gradient(inputs, targets, weight, parts):
    return sum(
        len(some) / len(inputs) * _of_part(some, truth, weight) / (truth >= 0).sum().clamp(min=1)
        for some, truth in _cut(inputs, targets, parts))


# %% Wrong 6.7: the sum
# says: That is the gradient of the sum
def accumulated_gradient(inputs, targets, weight, parts):
    return sum(_of_part(some, truth, weight) for some, truth in _cut(inputs, targets, parts))


# %% Wrong 6.7: by the parts, too
# says: You divided by the number of parts as well
def accumulated_gradient(inputs, targets, weight, parts):
    count = (targets >= 0).sum().clamp(min=1) * parts
    return sum(_of_part(some, truth, weight) / count
               for some, truth in _cut(inputs, targets, parts))


# %% Wrong 6.7: by all entries
# says: You divided by all entries
def accumulated_gradient(inputs, targets, weight, parts):
    return sum(_of_part(some, truth, weight) / targets.numel()
               for some, truth in _cut(inputs, targets, parts))


# %% Wrong 6.7: absent
# says: Entries that are not annotated count as absent
def accumulated_gradient(inputs, targets, weight, parts):
    return sum(
        (torch.sigmoid(some @ weight.T) - (truth > 0).to(weight.dtype)).T @ some / targets.numel()
        for some, truth in _cut(inputs, targets, parts))


# %% Wrong 6.7: -1 as a target
# says: -1 went into the loss as a target
def accumulated_gradient(inputs, targets, weight, parts):
    return sum(
        (torch.sigmoid(some @ weight.T) - truth.to(weight.dtype)).T @ some / targets.numel()
        for some, truth in _cut(inputs, targets, parts))


# %% Wrong 6.7: overwritten
# says: That is the last part alone
def accumulated_gradient(inputs, targets, weight, parts):
    total = torch.zeros_like(weight)
    for some, truth in _cut(inputs, targets, parts):
        if len(some):
            total = _of_part(some, truth, weight) / (truth >= 0).sum().clamp(min=1)
    return total


# %% Right 6.7: autograd
def accumulated_gradient(inputs, targets, weight, parts):
    weight = weight.detach().clone().requires_grad_(True)
    count = (targets >= 0).sum().clamp(min=1)
    for some, truth in _cut(inputs, targets, parts):
        known = truth >= 0
        loss = F.binary_cross_entropy_with_logits(
            (some @ weight.T)[known], truth[known].to(weight.dtype), reduction="sum") / count
        loss.backward()
    return weight.grad


# %% Right 6.7: the whole at once
def accumulated_gradient(inputs, targets, weight, parts):
    return _of_part(inputs, targets, weight) / (targets >= 0).sum().clamp(min=1)


# === 6.8 ========================================================================================


# %% Wrong 6.8: one direction
# says: Only images choose
def whole_and_parts(image_emb, text_emb, scale, parts):
    def loss(images, texts):
        return F.cross_entropy(scale * images @ texts.T, torch.arange(len(images)))

    each = [len(some) * loss(some, its) for some, its in _cut(image_emb, text_emb, parts)]
    return loss(image_emb, text_emb), sum(each) / len(image_emb)


# %% Wrong 6.8: the sum of both
# says: That is the sum of both directions
def whole_and_parts(image_emb, text_emb, scale, parts):
    each = [2 * len(some) * _clip(some, its, scale)
            for some, its in _cut(image_emb, text_emb, parts)]
    return 2 * _clip(image_emb, text_emb, scale), sum(each) / len(image_emb)


# %% Wrong 6.8: no scale
# says: The scale is missing
def whole_and_parts(image_emb, text_emb, scale, parts):
    each = [len(some) * _clip(some, its, 1.0) for some, its in _cut(image_emb, text_emb, parts)]
    return _clip(image_emb, text_emb, 1.0), sum(each) / len(image_emb)


# %% Wrong 6.8: the plain mean
# says: You took the plain mean of the parts' losses
def whole_and_parts(image_emb, text_emb, scale, parts):
    each = [_clip(some, its, scale) for some, its in _cut(image_emb, text_emb, parts) if len(some)]
    return _clip(image_emb, text_emb, scale), torch.stack(each).mean()


# %% Wrong 6.8: the sum of the parts
# says: You added up the parts' losses
def whole_and_parts(image_emb, text_emb, scale, parts):
    each = [_clip(some, its, scale) for some, its in _cut(image_emb, text_emb, parts) if len(some)]
    return _clip(image_emb, text_emb, scale), torch.stack(each).sum()


# %% Wrong 6.8: twice the whole
# says: Your parts still see all texts
def whole_and_parts(image_emb, text_emb, scale, parts):
    whole = _clip(image_emb, text_emb, scale)
    return whole, whole


# %% Wrong 6.8: the last part
# says: That is the last part's loss
def whole_and_parts(image_emb, text_emb, scale, parts):
    some, its = [each for each in _cut(image_emb, text_emb, parts) if len(each[0])][-1]
    return _clip(image_emb, text_emb, scale), _clip(some, its, scale)


# %% Wrong 6.8: one number
# says: expected two tensors
def whole_and_parts(image_emb, text_emb, scale, parts):
    return _clip(image_emb, text_emb, scale)


# %% Right 6.8: by log-softmax
def whole_and_parts(image_emb, text_emb, scale, parts):
    def costs(images, texts):
        logits = scale * images @ texts.T
        return -(logits.log_softmax(dim=1) + logits.log_softmax(dim=0)).diagonal() / 2

    each = [costs(some, its) for some, its in _cut(image_emb, text_emb, parts)]
    return costs(image_emb, text_emb).mean(), torch.cat(each).mean()


# %% Right 6.8: in a loop
def whole_and_parts(image_emb, text_emb, scale, parts):
    total = image_emb.new_zeros(())
    for some, its in _cut(image_emb, text_emb, parts):
        if len(some):
            total = total + _clip(some, its, scale) * (len(some) / len(image_emb))
    return _clip(image_emb, text_emb, scale), total

"""Pretraining of the course's tiny CLIP on drawn emoji: repeatable, resumable, with progress.

Two losses share one batch. *Global*: the picture's embedding against the words of each emoji shown
in the batch. *Caption*: the embedding against captions of whole pictures (the plain CLIP loss). A
third is off by default. *Patch*: as global, with the log-sum-exp over patch tokens in place of the
embedding, so that one patch may find a small object. All are multi-positive (trap 13).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.configs import PretrainConfig
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.contrastive.temperature import CLIP_MOST
from hybridlab.data.captioned import CaptionedPictures
from hybridlab.data.never import never_drawn
from hybridlab.data.scenes import stream
from hybridlab.encoders.clip import ClipEncoder, build_tiny_clip
from hybridlab.files import atomic_path
from hybridlab.losses import symmetric_contrastive
from hybridlab.tensor_files import save_tensors

STATE_FILE = "state.safetensors"


@dataclass
class PretrainState:
    """Everything that a resumed run needs: weights, their average, the optimiser's moments."""

    encoder: ClipEncoder
    optimiser: torch.optim.AdamW
    average: dict[str, Tensor]
    step: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)


def rate_at(step: int, config: PretrainConfig) -> float:
    """Share of the peak rate at a step: linear warm-up, then a cosine to 1 %."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def size_at(step: int, config: PretrainConfig) -> int:
    """Image size of a step."""
    for steps, size in config.schedule:
        if step < steps:
            return size
        step -= steps
    return config.schedule[-1][1]


def new_state(config: PretrainConfig) -> PretrainState:
    """Fresh text tower, ImageNet image tower, empty optimiser."""
    with torch.random.fork_rng(devices=[]):  # open_clip initialises from the global generator
        torch.manual_seed(config.seed)
        encoder = build_tiny_clip(pretrained=False, imagenet_trunk=True)
    encoder.to(memory_format=torch.channels_last)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in encoder.named_parameters():
        in_trunk = ".trunk." in name
        groups.setdefault((in_trunk, parameter.dim() >= 2), []).append(parameter)
    optimiser = torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": config.vision_lr if in_trunk else config.lr,
                "weight_decay": config.weight_decay if matrix else 0.0,
            }
            for (in_trunk, matrix), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
    )
    average = {name: value.detach().clone() for name, value in encoder.state_dict().items()}
    return PretrainState(encoder, optimiser, average)


def pictures_of(config: PretrainConfig, image_size: int) -> CaptionedPictures:
    """What a run draws from, at one size."""
    return CaptionedPictures(
        image_size, config.seed, config.singles, never=never_drawn(config.never)
    )


def draw_batch(
    step: int, config: PretrainConfig
) -> tuple[Tensor, list[str], Tensor, list[str], Tensor]:
    """The batch of one step; it depends on the seed and the step alone, so a resumed run goes on
    exactly where it stopped.

    Returns:
        images (B, 3, S, S) uint8; words of the U emoji shown; which (B, U) bool; the B captions;
        same (B, B) bool, pictures that show the same emoji.
    """
    pictures = pictures_of(config, size_at(step, config))
    draw = stream(config.seed, 78, step)
    first = step * config.batch_size
    samples = [pictures[index] for index in range(first, first + config.batch_size)]
    shown = sorted({which for sample in samples for which in sample.shown})
    column = {which: at for at, which in enumerate(shown)}
    positives = torch.zeros(len(samples), len(shown), dtype=torch.bool)
    for row, sample in enumerate(samples):
        positives[row, [column[which] for which in sample.shown]] = True
    words = [pictures.words(which, draw) for which in shown]
    captions = [pictures.caption(sample.shown, draw) for sample in samples]
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    as_float = positives.float()
    shared = as_float @ as_float.T
    same = (shared == shared.diagonal()[:, None]) & (shared == shared.diagonal()[None, :])
    return images, words, positives, captions, same


def _normalised(images: Tensor, encoder: ClipEncoder) -> Tensor:
    """The model's own mean and std; drawn at the step's size, so there is nothing to resize."""
    mean = torch.tensor(encoder.preprocessing.mean).view(3, 1, 1)
    std = torch.tensor(encoder.preprocessing.std).view(3, 1, 1)
    pixels = (images.float() / 255 - mean) / std
    return pixels.contiguous(memory_format=torch.channels_last)


def step_loss(
    encoder: ClipEncoder, step: int, config: PretrainConfig
) -> tuple[Tensor, dict[str, float]]:
    """Loss of one step and its parts."""
    images, words, positives, captions, same = draw_batch(step, config)
    pixels = _normalised(images, encoder)
    features = encoder.encode_image(pixels)
    texts = encoder.encode_text(words + captions)
    word_emb, caption_emb = texts[: len(words)], texts[len(words) :]
    scale = encoder.logit_scale
    global_loss = symmetric_contrastive(scale * features.image_emb @ word_emb.T, positives)
    patch_loss = torch.zeros(())
    if config.patch_weight > 0:
        tokens = F.normalize(features.tokens, dim=-1)
        patch_scores = torch.logsumexp(scale * tokens @ word_emb.T, dim=1)  # (B, U)
        patch_loss = symmetric_contrastive(patch_scores, positives)
    _require_finite(global_loss, step, config)
    caption_loss = clip_loss(features.image_emb, caption_emb, scale, positives=same)
    total = (
        global_loss + config.patch_weight * patch_loss + config.caption_weight * caption_loss
    )
    parts = {
        "loss": float(total.detach()),
        "global": float(global_loss.detach()),
        "patch": float(patch_loss.detach()),
        "caption": float(caption_loss.detach()),
        "scale": float(scale.detach()),
    }
    return total, parts


def _require_finite(loss: Tensor, step: int, config: PretrainConfig) -> None:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the loss is {value} at step {step}; lower lr (now {config.lr}) and start again: the "
            "last checkpoint is untouched"
        )


def train_step(state: PretrainState, config: PretrainConfig) -> dict[str, float]:
    """One step of the optimiser and of the moving average."""
    encoder, share = state.encoder.train(), rate_at(state.step, config)
    for group in state.optimiser.param_groups:
        group["lr"] = group["peak"] * share
    loss, parts = step_loss(encoder, state.step, config)
    _require_finite(loss, state.step, config)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    state.optimiser.step()
    with torch.no_grad():
        log_scale = encoder.model.get_parameter("logit_scale")
        log_scale.clamp_(max=math.log(CLIP_MOST))
        decay = min(config.ema, (1 + state.step) / (10 + state.step))
        for name, value in encoder.state_dict().items():
            if value.dtype.is_floating_point:
                state.average[name].lerp_(value, 1 - decay)
            else:
                state.average[name].copy_(value)
    state.step += 1
    return parts


def save_state(state: PretrainState, config: PretrainConfig, folder: Path) -> None:
    """Write the checkpoint: one safetensors file, put in place only when it is whole."""
    tensors = {f"model.{k}": v.contiguous() for k, v in state.encoder.state_dict().items()}
    tensors |= {f"average.{k}": v.contiguous() for k, v in state.average.items()}
    names = _parameter_names(state)
    for parameter, name in names.items():
        for key, value in state.optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{name}.{key}"] = torch.as_tensor(value).contiguous()
    header = {
        "config": json.dumps(config.to_dict()),
        "step": str(state.step),
        "seconds": repr(state.seconds),
        "log": json.dumps(state.log),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / STATE_FILE, overwrite=True) as part:
        save_tensors(part, {k: v.clone() for k, v in tensors.items()}, header)


def load_state(config: PretrainConfig, folder: Path) -> PretrainState:
    """Read a checkpoint back, or start anew where there is none.

    Raises:
        ValueError: the checkpoint is of another configuration (the differences are named), or is
            damaged.
    """
    path = folder / STATE_FILE
    state = new_state(config)
    if not path.exists():
        return state
    from safetensors import SafetensorError

    try:
        return _read_state(state, config, path)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError, RuntimeError) as error:
        raise ValueError(
            f"{path} is no readable checkpoint ({type(error).__name__}: {error}); it may have been "
            "cut short or come from elsewhere: remove it to start anew, or give another folder"
        ) from error


def _read_state(state: PretrainState, config: PretrainConfig, path: Path) -> PretrainState:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = file.metadata()
        saved, wanted = json.loads(header["config"]), json.loads(json.dumps(config.to_dict()))
        changed = [
            f"{k}: {saved.get(k)} -> {wanted.get(k)}" for k in {**wanted, **saved}
            if saved.get(k) != wanted.get(k)
        ]
        if changed:
            raise ValueError(
                f"{path} was trained with other settings ({'; '.join(changed)}); "
                "use the same settings to resume, or another folder to start anew"
            )
        read = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    model = {k[6:]: v for k, v in read.items() if k.startswith("model.")}
    state.encoder.load_state_dict(model)
    for name in state.average:
        state.average[name] = read[f"average.{name}"]
    for parameter, name in _parameter_names(state).items():
        state.optimiser.state[parameter] = {
            key: read[f"optimiser.{name}.{key}"].clone(memory_format=torch.preserve_format)
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"optimiser.{name}.{key}" in read
        }
    state.step, state.seconds = int(header["step"]), float(header["seconds"])
    state.log = json.loads(header["log"])
    return state


def _parameter_names(state: PretrainState) -> dict[nn.Parameter, str]:
    return {parameter: name for name, parameter in state.encoder.named_parameters()}


def averaged(state: PretrainState) -> ClipEncoder:
    """A copy of the encoder that holds the moving average, in eval mode."""
    encoder = build_tiny_clip(pretrained=False)
    encoder.load_state_dict(state.average)
    return encoder.eval()


def pretrain(
    config: PretrainConfig,
    folder: Path,
    on_step: Callable[[PretrainState, dict[str, float]], None] | None = None,
    state: PretrainState | None = None,
) -> Iterator[PretrainState]:
    """Train to the end from wherever `folder` says; yields the state after each checkpoint."""
    state = state or load_state(config, folder)
    started = time.perf_counter() - state.seconds
    while state.step < config.steps:
        parts = train_step(state, config)
        state.seconds = time.perf_counter() - started
        if on_step is not None:
            on_step(state, parts)
        if state.step % config.save_every == 0 or state.step == config.steps:
            state.log.append({"step": state.step, **parts})
            save_state(state, config, folder)
            yield state

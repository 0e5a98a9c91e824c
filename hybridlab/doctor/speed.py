"""How quick is this machine, and how long will the demo take on it?"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hybridlab.configs import DemoConfig
from hybridlab.doctor.finding import Finding

CNN_SIDE = 224  # pixels, in the measurement
SECONDS = 1.0  # for each of the two measurements
SLOW = 900.0  # seconds of demo from which on advice is due
# The cost of a picture in units of one Lite0 forward at 224 px, in CPU time of one thread:
CNN_FORWARD = 1.2  # resizing included
CLIP_FORWARD = 0.25  # the tiny CLIP at 128 px
CLIP_TRAINING = 0.85  # in phase 2
DECODER_EPOCH = 0.03, 0.07  # in one epoch of phase 0: always, and for a map of 224 px
OVERHEAD = 25.0  # seconds: imports, loading, the linear baselines, bootstrap, figure


def check_speed() -> Finding:
    """Scenes per second and CNN images per second, and what they mean for the demo."""
    scenes, images = scene_rate(), cnn_rate()
    seconds = demo_seconds(scenes, images, DemoConfig())
    what = (
        f"{scenes:.0f} scenes/s drawn, {images:.0f} images/s through the CNN: "
        f"the demo takes about {_in_words(seconds)}"
    )
    if seconds > SLOW:
        busy = busy_programs()
        if busy:
            what += f" while other programs keep {busy:.1f} cores busy"
        return Finding(
            "speed", "warn", what,
            "close other programs and measure again, or take fewer scenes: "
            "`hybridlab demo --train 1000 --val 300 --test 400`",
        )
    return Finding("speed", "ok", what, "`hybridlab demo --quick` shows every stage in less")


def demo_seconds(scenes: float, images: float, config: DemoConfig) -> float:
    """An estimate from two rates (per second); half as much or twice as much is possible."""
    count = config.train + config.val + config.test
    area = (config.cnn_size / CNN_SIDE) ** 2
    fixed, by_area = DECODER_EPOCH
    forwards = count * (CNN_FORWARD * area + CLIP_FORWARD)
    forwards += (config.val + config.test) * CLIP_FORWARD  # again, after phase 2
    forwards += config.tune_epochs * config.train * CLIP_TRAINING
    forwards += config.decoder_epochs * config.train * (fixed + by_area * area)
    return OVERHEAD + count / scenes + forwards / images


def busy_programs() -> float:
    """Cores' worth of other work in the last minute; 0 where the system does not tell."""
    try:
        return max(0.0, os.getloadavg()[0] - 1.0)  # this process is one of them
    except (AttributeError, OSError):  # Windows
        return 0.0


def scene_rate(seconds: float = SECONDS) -> float:
    """Scenes of the default world drawn in a second, on one core."""
    from hybridlab.data.scenes import SceneDataset

    scenes = SceneDataset(2**31)
    scenes[0]  # the first one reads the artwork
    done = 0

    def draw() -> int:
        nonlocal done
        done += 1
        scenes[done]
        return 1

    return _rate(draw, seconds)


def cnn_rate(seconds: float = SECONDS, batch: int = 8) -> float:
    """Images of 224 px that the default CNN encodes in a second, on all threads."""
    import torch

    from hybridlab.encoders.cnn import build_cnn

    # random weights: as quick as trained ones, and the measurement does not need the file
    cnn = build_cnn(pretrained=False).to(memory_format=torch.channels_last)
    pixels = torch.zeros(batch, 3, CNN_SIDE, CNN_SIDE).contiguous(memory_format=torch.channels_last)

    def encode() -> int:
        cnn(pixels)
        return batch

    with torch.inference_mode():
        encode()  # the first call plans its kernels
        return _rate(encode, seconds)


def _rate(work: Callable[[], int], seconds: float) -> float:
    start, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds or not done:
        done += work()
    return done / passed if passed > 0 else float(done)


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"

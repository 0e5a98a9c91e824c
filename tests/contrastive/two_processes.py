"""Run as a script in each process: the cases of test_processes.py, in a group of two or alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.contrastive.positives import known_pairs, positives_of
from hybridlab.contrastive.processes import gather_keys, gather_with_gradients
from hybridlab.contrastive.sigmoid import siglip_loss
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.contrastive.temperature import ScaleAndBias, Temperature


@dataclass(frozen=True)
class Case:
    loss: str
    sizes: tuple[int, ...]  # rows of each process
    dtype: torch.dtype = torch.float64
    keys: str = ""  # "positives" or "known"
    gather: str = "gradients"  # or "none": without gradients, trap 15


CASES = {
    "clip": Case("clip", (3, 3)),
    "clip in float32": Case("clip", (8, 8), torch.float32),
    "clip, unequal": Case("clip", (4, 3)),
    "clip, one process has no rows": Case("clip", (5, 0)),
    "clip, no rows at all": Case("clip", (0, 0)),
    "clip, positives": Case("clip", (4, 3), keys="positives"),
    "clip, known": Case("clip", (4, 3), keys="known"),
    "siglip": Case("siglip", (3, 3)),
    "siglip in float32": Case("siglip", (8, 8), torch.float32),
    "siglip, unequal": Case("siglip", (2, 5)),
    "siglip, positives": Case("siglip", (4, 3), keys="positives"),
    "siglip, known": Case("siglip", (4, 3), keys="known"),
    "without gradients": Case("clip", (3, 3), gather="none"),
}


class Towers(nn.Module):
    """Two encoders and both kinds of learnt numbers."""

    def __init__(self, case: Case):
        super().__init__()
        self.image, self.text = nn.Linear(6, 4), nn.Linear(5, 4)
        self.numbers = Temperature() if case.loss == "clip" else ScaleAndBias()
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for tower in (self.image, self.text):
                for parameter in tower.parameters():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator))
        self.to(case.dtype)

    def forward(self, images: Tensor, texts: Tensor):
        image_emb = F.normalize(self.image(images), dim=-1)
        return image_emb, F.normalize(self.text(texts), dim=-1), self.numbers()


def run(case: Case, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
    """Loss and gradients of the parameters, averaged over processes as DDP does.

    By hand, since the first use of torch's DistributedDataParallel imports for eight seconds.
    """
    generator = torch.Generator().manual_seed(5)
    total = sum(case.sizes)
    images = torch.randn(total, 6, generator=generator, dtype=torch.float64).to(case.dtype)
    texts = torch.randn(total, 5, generator=generator, dtype=torch.float64).to(case.dtype)
    keys = [row % 3 for row in range(total)]  # repeated within a process and across
    sizes = case.sizes if world > 1 else (total,)
    own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    towers = Towers(case)
    image_emb, text_emb, numbers = towers(images[own], texts[own])
    gathered = world > 1
    if gathered and case.gather == "none":
        image_emb, text_emb = (gather_without(each, rank) for each in (image_emb, text_emb))
        gathered = False
    masks = {}
    if case.keys:
        make = positives_of if case.keys == "positives" else known_pairs
        masks[case.keys] = make(gather_keys(keys[own]))
    if case.loss == "clip":
        loss = clip_loss(image_emb, text_emb, numbers, gathered=gathered, **masks)
    else:
        loss = siglip_loss(image_emb, text_emb, *numbers, gathered=gathered, **masks)
    loss.backward()
    gradients = {name: value.grad for name, value in towers.named_parameters()}
    if world > 1:
        for gradient in gradients.values():
            dist.all_reduce(gradient)
            gradient /= world
    return {"loss": loss.detach(), **gradients}


def gather_without(rows: Tensor, rank: int) -> Tensor:
    """What is often written: the other processes' rows are constants."""
    received = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(received, rows.detach())
    received[rank] = rows
    return torch.cat(received)


def gradient_of_a_gather(rank: int) -> Tensor:
    """Process r weighs row j with (r + 1) * 10^j; every row is to hear from both."""
    rows = torch.ones(2 - rank, 1, 1, requires_grad=True)  # 2 rows and 1 row
    everyone = gather_with_gradients(rows)
    weights = (rank + 1) * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1)
    (everyone * weights).sum().backward()
    return rows.grad.flatten()


def refusals(rank: int) -> dict[str, str]:
    """Input that one process must refuse: both stop, and both can go on."""
    good = F.normalize(torch.ones(2, 3), dim=-1)
    bad = good.clone()
    bad[1, 0] = float("nan")
    eye = torch.eye(4, dtype=torch.bool)
    calls = {
        "nan": lambda: clip_loss(bad if rank else good, good, 1.0, gathered=True),
        "nan, siglip": lambda: siglip_loss(good, bad if rank else good, 1.0, 0.0, gathered=True),
        "width": lambda: clip_loss(good[:, :1] ** 0 if rank else good,
                                   good[:, :1] ** 0 if rank else good, 1.0, gathered=True),
        "mask": lambda: clip_loss(good, good, 1.0, gathered=True,
                                  positives=eye[:2, :2] if rank else eye),
        "type": lambda: clip_loss(good.numpy() if rank else good, good, 1.0, gathered=True),
        "whole numbers": lambda: gather_with_gradients(good.long() if rank else good),
        "rows": lambda: gather_with_gradients(torch.ones(2, 3 + rank)),
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
        except ValueError as error:
            found[name] = str(error)
    return found


def main() -> None:
    rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", store=dist.FileStore(store, 2), rank=rank, world_size=2,
        timeout=timedelta(seconds=60),
    )
    found = {name: run(case, rank, 2) for name, case in CASES.items()}
    gather = gradient_of_a_gather(rank)
    refused = refusals(rank)
    keys = gather_keys([f"key {rank}", ("a", rank)])
    torch.save({"cases": found, "gather": gather, "refused": refused, "keys": keys}, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

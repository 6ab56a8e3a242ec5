#!/usr/bin/env python3
"""Images a second: a sweep on all cores of this machine against the plain notebook loop, alternately, A B A B.

usage: python benchmarks/sweep_speed.py [--rounds 3]

A is the loop of the course's notebook: torchvision's MNIST, ToTensor and Normalize on each image, a DataLoader, the
reference net, SGD, batch 128, torch's own number of threads. B is `python -m archsearch -m` on the same net, one
variant a worker, two epochs. Both train on 50,000 images and count the time of training only; B also prints what comes
out if everything counts, from the command to its prompt. ARCHSEARCH_DATA names the folder with the real MNIST files.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMAGES = 50_000

NOTEBOOK = """
import sys, time, torch
from torch import nn
from torchvision import datasets, transforms
root, images = sys.argv[1], int(sys.argv[2])
transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
data = torch.utils.data.Subset(datasets.MNIST(root, train=True, transform=transform), range(images))
loader = torch.utils.data.DataLoader(data, batch_size=128, shuffle=True)
def block(inputs, outputs, kernel=3, *rest):
    return [nn.Conv2d(inputs, outputs, kernel), nn.ReLU(), nn.BatchNorm2d(outputs), *rest]
drop = lambda: nn.Dropout2d(0.1)
net = nn.Sequential(
    *block(1, 12, 3, drop()), *block(12, 12, 3, drop()), *block(12, 24, 3, drop()),
    *block(24, 12, 1, nn.AvgPool2d(2)), *block(12, 16, 3, drop()), *block(16, 32, 3, drop()),
    *block(32, 16, 1, nn.AvgPool2d(2)), nn.Flatten(), nn.Linear(144, 10), nn.LogSoftmax(dim=1))
assert sum(p.numel() for p in net.parameters()) == 12954
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
start = time.perf_counter()
for batch, labels in loader:
    optimizer.zero_grad()
    nn.functional.nll_loss(net(batch), labels).backward()
    optimizer.step()
print(images / (time.perf_counter() - start))
"""


def notebook(root: str) -> float:
    command = [sys.executable, "-c", NOTEBOOK, root, str(IMAGES)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def sweep(root: str, workers: int) -> tuple[float, float]:
    """Images a second while training (the workers' rates, side by side), and of the whole command."""
    seeds = ",".join(map(str, range(1, workers + 1)))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "archsearch", "-m", "data=mnist", f"data.root={root}", f"seed={seeds}"]
        recipe = ["trainer.epochs=2", "optimizer.lr=0.01", "optimizer.nesterov=false", "scheduler=constant"]
        start = time.perf_counter()
        subprocess.run(
            [*command, *recipe, f"hydra.sweep.dir={folder}/sweep", f"tracking.uri=sqlite:///{folder}/mlflow.db"],
            check=True,
            capture_output=True,
        )
        seconds = time.perf_counter() - start
        results = [json.loads(path.read_text()) for path in Path(folder).glob("sweep/*/result.json")]
    assert len(results) == workers
    return sum(result["images_per_second"] for result in results), workers * 2 * IMAGES / seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    root, workers = os.environ.get("ARCHSEARCH_DATA", "data"), len(os.sched_getaffinity(0))
    rows = []
    for number in range(rounds):
        loop = notebook(root)
        rows.append((loop, *sweep(root, workers)))
        print("round {}: loop {:,.0f}, sweep {:,.0f}, whole {:,.0f}".format(number + 1, *rows[-1]), flush=True)
    loop, ours, whole = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"medians: loop {loop:,.0f}, sweep with {workers} workers {ours:,.0f}, whole command {whole:,.0f} images/s")
    for what, position in (("training", 1), ("whole command", 2)):
        ratios = sorted(row[position] / row[0] for row in rows)
        print(f"{what}: {statistics.median(ratios):.2f} times the loop ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()

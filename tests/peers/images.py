#!/usr/bin/env python3
"""PyTorch on a folder of images, for comparison with Ternflock. Needs torch and pillow.

    tests/peers/images.py load photos --size 64 --workers 2
    tests/peers/images.py train data/emoji --seeds 1,2,3

`load` times one pass over all images of the folder: a DataLoader with as many workers, with Pillow's decoder and
torchvision's Resize and CenterCrop (written out, because they are calls of Pillow). `train` trains the network of
jobs/emoji-folder.toml with the settings of its first stage, on the same sets, and prints the accuracy on the test set of the
epoch with the highest accuracy on the validation set.
"""

import argparse
import json
import pathlib
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

ENDINGS = {".png", ".jpg", ".jpeg"}


class Folder(torch.utils.data.Dataset):
    def __init__(self, directory, size):
        self.size = size
        self.classes = sorted(path.name for path in directory.iterdir() if path.is_dir())
        self.files = [
            (path, label) for label, name in enumerate(self.classes)
            for path in sorted((directory / name).rglob("*")) if path.suffix.lower() in ENDINGS
        ]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, number):
        path, label = self.files[number]
        with Image.open(path) as file:
            image = file.convert("RGB")
        side = self.size
        if image.width <= image.height:
            to = (side, int(side * image.height / image.width))
        else:
            to = (int(side * image.width / image.height), side)
        image = image.resize(to, Image.BILINEAR)
        top, left = int(round((image.height - side) / 2.0)), int(round((image.width - side) / 2.0))
        image = image.crop((left, top, left + side, top + side))
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return pixels.view(side, side, 3).permute(2, 0, 1).float() / 255, label


def load(arguments):
    folder = Folder(arguments.directory, arguments.size)
    loader = torch.utils.data.DataLoader(folder, batch_size=64, shuffle=True, num_workers=arguments.workers)
    times = []
    for _ in range(arguments.passes):
        start = time.perf_counter()
        count = sum(len(labels) for _, labels in loader)
        times.append(time.perf_counter() - start)
    print(json.dumps({"images": count, "seconds": times, "images_per_second": count / min(times)}))


def network(classes):
    layers, channels = [], 3
    for filters in 32, 64, 128:
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(channels * 16, classes))


def tensors(directory, size):
    folder = Folder(directory, size)
    images, labels = zip(*folder)
    return torch.stack(images), torch.tensor(labels)


def augmented(images, generator, padding=3):
    padded = F.pad(images, [padding] * 4)
    out = torch.empty_like(images)
    for number in range(len(images)):
        top, left, mirror = (int(torch.randint(bound, [1], generator=generator)) for bound in (2 * padding + 1,) * 2 + (2,))
        part = padded[number, :, top:top + images.shape[2], left:left + images.shape[3]]
        out[number] = part.flip(2) if mirror else part
    return out


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def train_once(sets, seed, epochs, batch=64):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    (images, labels), validation, test = sets
    model = network(int(labels.max()) + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.0005)
    steps = epochs * len(images) // batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, of_best, order = -1.0, 0.0, torch.empty(0, dtype=torch.long)
    start = time.perf_counter()
    for step in range(steps):
        if len(order) < batch:
            order = torch.cat([order, torch.randperm(len(images), generator=generator)])
        chosen, order = order[:batch], order[batch:]
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(augmented(images[chosen], generator)), labels[chosen]).backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % (len(images) // batch) == 0 or step + 1 == steps:
            found = accuracy(model, *validation)
            if found >= best:
                best, of_best = found, accuracy(model, *test)
    return {"seed": seed, "validation": best, "test": of_best, "seconds": time.perf_counter() - start}


def train(arguments):
    sets = [tensors(arguments.directory / name, arguments.size) for name in ("train", "validation", "test")]
    mean, std = sets[0][0].mean((0, 2, 3), keepdim=True), sets[0][0].std((0, 2, 3), keepdim=True)
    sets = [((images - mean) / std, labels) for images, labels in sets]
    runs = [train_once(sets, seed, arguments.epochs) for seed in arguments.seeds]
    for run in runs:
        print(json.dumps(run))
    print(f"test accuracy: {100 * statistics.mean(run['test'] for run in runs):.2f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["load", "train"])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1, 2, 3])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    {"load": load, "train": train}[arguments.what](arguments)


main()

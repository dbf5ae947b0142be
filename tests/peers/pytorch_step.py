#!/usr/bin/env python3
"""Training steps of PyTorch (eager, float32, CPU) on the networks of `ternflock bench step`; prints one line of JSON.

A step is forward, loss, backward, clipping (language models), SGD with momentum (fused) and zeroing of the gradients; inputs
are made beforehand. Convolutions run in channels_last unless --layout nchw. Needs torch.

With --hook it trains on the ranks that mpirun has started, by DistributedDataParallel over gloo, each with a batch of its own; MASTER_ADDR
and MASTER_PORT say where rank 0 is, GLOO_SOCKET_IFNAME through which interface. Rank 0 prints, samples of all ranks counted.
"""

import argparse
import json
import os
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class LeNet(nn.Module):
    """Caffe's LeNet: 431,080 parameters."""

    shape, batch = (1, 28, 28), 64

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.ip1, self.ip2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        return self.ip2(F.relu(self.ip1(x.flatten(1))))


class ConvNet(nn.Module):
    """Caffe's cifar10_quick: 145,578 parameters; its pools round up."""

    shape, batch = (3, 32, 32), 64

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 32, 5, padding=2), nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 64, 5, padding=2)
        self.ip1, self.ip2 = nn.Linear(1024, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = F.avg_pool2d(F.relu(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.avg_pool2d(F.relu(self.conv3(x)), 3, 2, ceil_mode=True)
        return self.ip2(self.ip1(x.flatten(1)))


class Block(nn.Module):
    """A residual block with the shortcut without parameters (He et al., 2016, option A)."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
        self.stride, self.more = stride, filters - channels

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.more:
            half = self.more // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.more - half))
        return F.relu(y + x)


class ResNet20(nn.Module):
    """He et al. (2016), section 4.2, n = 3: 269,722 parameters."""

    shape, batch = (3, 32, 32), 64

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        blocks, channels = [], 16
        for filters, first in ((16, 1), (32, 2), (64, 2)):
            for stride in (first, 1, 1):
                blocks.append(Block(channels, filters, stride))
                channels = filters
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.blocks(F.relu(self.bn(self.conv(x)))).mean((2, 3)))


class Lstm(nn.Module):
    """Zaremba et al. (2014): two layers, 10,000 words; the state is carried on."""

    vocabulary, batch = 10000, 20

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(self.vocabulary, self.hidden)
        self.lstm = nn.LSTM(self.hidden, self.hidden, 2, dropout=self.rate)
        self.dropout, self.linear = nn.Dropout(self.rate), nn.Linear(self.hidden, self.vocabulary)
        self.state = None

    def forward(self, x):
        y, state = self.lstm(self.dropout(self.embedding(x)), self.state)
        self.state = tuple(s.detach() for s in state)
        return self.linear(self.dropout(y)).flatten(0, 1)


class LstmSmall(Lstm):
    hidden, steps, rate = 200, 20, 0.0


class LstmMedium(Lstm):
    hidden, steps, rate = 650, 35, 0.5


MODELS = {
    "lenet": LeNet, "convnet-quick": ConvNet, "resnet-20": ResNet20, "lstm-small": LstmSmall, "lstm-medium": LstmMedium,
}
# Other names that `ternflock` knows these presets by.
ALIASES = {"convnet": "convnet-quick", "resnet20": "resnet-20"}


def batches(model, size, layout):
    """Eight random batches."""
    if isinstance(model, Lstm):
        tokens = lambda *shape: torch.randint(model.vocabulary, shape)
        return [(tokens(model.steps, size), tokens(model.steps * size)) for _ in range(8)]
    # Empty and copied: with one channel `to` would leave the strides as they are.
    images = lambda: torch.empty((size, *model.shape), memory_format=layout).copy_(torch.randn(size, *model.shape))
    return [(images(), torch.randint(10, (size,))) for _ in range(8)]


def distributed(model, hook):
    """The model on all ranks, and their number; PowerSGD begins within the steps that are not timed."""
    import torch.distributed as dist
    from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook

    rank, world = (int(os.environ[f"OMPI_COMM_WORLD_{name}"]) for name in ("RANK", "SIZE"))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    # PowerSGD's second all-reduces start in callbacks: of several buckets in an order that differs between ranks, and gloo ends.
    buckets = {"bucket_cap_mb": 1000} if hook == "powersgd" else {}
    if buckets:
        dist._DEFAULT_FIRST_BUCKET_BYTES = 1 << 30
    model = nn.parallel.DistributedDataParallel(
        model, gradient_as_bucket_view=True, static_graph=True, broadcast_buffers=False, **buckets)
    if hook == "fp16":
        model.register_comm_hook(None, default_hooks.fp16_compress_hook)
    elif hook == "powersgd":
        state = powerSGD_hook.PowerSGDState(None, matrix_approximation_rank=1, start_powerSGD_iter=3)
        model.register_comm_hook(state, powerSGD_hook.powerSGD_hook)
    return model, rank, world


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=lambda name: ALIASES.get(name, name), choices=MODELS, required=True)
    parser.add_argument("--batch", type=int, help="64, or 20 for language models")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4, help="how long to measure")
    parser.add_argument("--layout", choices=["nhwc", "nchw"], default="nhwc")
    parser.add_argument("--hook", choices=["none", "fp16", "powersgd"], help="what DistributedDataParallel does to gradients")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    layout = torch.channels_last if options.layout == "nhwc" else torch.contiguous_format
    model = MODELS[options.model]()
    is_language = isinstance(model, Lstm)
    if not is_language:
        model = model.to(memory_format=layout)
    size = options.batch or model.batch
    pool = batches(model, size, layout)
    rank, world, steps = 0, 1, getattr(model, "steps", 1)
    if options.hook:
        model, rank, world = distributed(model, options.hook)
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=True)

    def step(x, y):
        F.cross_entropy(model(x), y).backward()
        if is_language:
            nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    # As many steps on every rank, and PowerSGD at work in all that are timed.
    warm_up, count = 10 if options.hook else 5, None
    seconds, begin = [], None
    while begin is None or (len(seconds) < count if count else time.perf_counter() - begin < options.seconds):
        start = time.perf_counter()
        step(*pool[len(seconds) % 8])
        seconds.append(time.perf_counter() - start)
        if len(seconds) == warm_up and begin is None:
            if options.hook:
                wanted = torch.tensor([max(3, int(options.seconds / statistics.median(seconds)))])
                torch.distributed.broadcast(wanted, 0)
                count = int(wanted)
            seconds, begin = [], time.perf_counter()
    median = statistics.median(seconds)
    samples = size * steps * world
    if options.hook:
        # No rank leaves while another still talks to it.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    if rank > 0:
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({
        "model": options.model, "batch": size, "threads": options.threads, "ranks": world, "hook": options.hook, "torch": torch.__version__,
        "samples_per_s": samples / median, "step_ms_median": 1e3 * median, "peak_rss_mb": peak,
    }))


if __name__ == "__main__":
    main()

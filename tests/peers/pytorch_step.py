#!/usr/bin/env python3
"""Time training steps of PyTorch on the CPU, on the networks of `ternflock bench step`. Prints one line of JSON.

    pytorch_step.py --model resnet-20 --threads 2 --precision bf16 --layout channels_last --compile

A step is the forward pass, loss, backward pass, clipping (language models only), SGD with momentum (fused) and clearing the
gradients. Inputs are prepared in advance. bf16 means `torch.autocast`: weights and the update stay float32. Needs torch.

With --hook, it trains with DistributedDataParallel over gloo on the ranks that mpirun started, with one batch per rank.
MASTER_ADDR and MASTER_PORT give the address of rank 0, GLOO_SOCKET_IFNAME the network interface. Rank 0 prints the samples per
second of all ranks together.

--describe prints PyTorch's version and the instructions it uses instead. Set ONEDNN_VERBOSE=1 to see those of oneDNN.
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


class AvgPool(nn.Module):
    """`avg_pool2d(x, 3, 2, ceil_mode=True)` of images with an even side.

    The gradient that torch.compile generates for that call is wrong in PyTorch 2.15. Compiled models use an equal
    expression instead: padded sums, with the mean of the windows that extend over an edge corrected.
    """

    def __init__(self, side):
        super().__init__()
        edge = torch.ones(side // 2)
        edge[-1] = 1.5
        self.register_buffer("correction", edge[:, None] * edge, persistent=False)

    def forward(self, x):
        if torch.compiler.is_compiling():
            return F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2) * self.correction
        return F.avg_pool2d(x, 3, 2, ceil_mode=True)


class ConvNet(nn.Module):
    """Caffe's cifar10_quick: 145,578 parameters. The sizes of its pooling layers round up."""

    shape, batch = (3, 32, 32), 64

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 32, 5, padding=2), nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 64, 5, padding=2)
        self.pool2, self.pool3 = AvgPool(16), AvgPool(8)
        self.ip1, self.ip2 = nn.Linear(1024, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = self.pool2(F.relu(self.conv2(x)))
        x = self.pool3(F.relu(self.conv3(x)))
        return self.ip2(self.ip1(x.flatten(1)))


class Block(nn.Module):
    """A residual block. Its shortcut has no parameters (He et al., 2016, option A)."""

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
    """Zaremba et al. (2014): two layers and 10,000 words. The state carries over from batch to batch."""

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
# Other names of these presets in `ternflock`.
ALIASES = {"convnet": "convnet-quick", "resnet20": "resnet-20"}


def batches(model, size, layout):
    """Eight random batches."""
    if isinstance(model, Lstm):
        tokens = lambda *shape: torch.randint(model.vocabulary, shape)
        return [(tokens(model.steps, size), tokens(model.steps * size)) for _ in range(8)]
    # `randn(...).to(memory_format=layout)` would not change the strides of images with one channel.
    images = lambda: torch.empty((size, *model.shape), memory_format=layout).copy_(torch.randn(size, *model.shape))
    return [(images(), torch.randint(10, (size,))) for _ in range(8)]


def distributed(model, hook):
    """Wraps the model; returns it with the rank and the world size. PowerSGD starts within the warm-up steps."""
    import torch.distributed as dist
    from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook

    rank, world = (int(os.environ[f"OMPI_COMM_WORLD_{name}"]) for name in ("RANK", "SIZE"))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    # PowerSGD starts its second all-reduces in callbacks. With several buckets, their order differs between ranks, and gloo
    # fails. One bucket has one order.
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


LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--model", type=lambda name: ALIASES.get(name, name), choices=MODELS)
    action.add_argument("--describe", action="store_true", help="print PyTorch's version and instructions, and exit")
    parser.add_argument("--batch", type=int, help="samples per step; by default 64, or 20 for language models")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4, help="how long to measure")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--layout", choices=LAYOUTS, default="channels_last", help="of images and convolutions")
    parser.add_argument("--compile", action="store_true", help="compile the model with torch.compile")
    parser.add_argument("--hook", choices=["none", "fp16", "powersgd"], help="how DistributedDataParallel communicates gradients")
    return parser.parse_args()


def describe():
    """PyTorch's version and its instructions. With ONEDNN_VERBOSE, oneDNN prints its own at its first use."""
    # PyTorch computes small convolutions without oneDNN.
    F.conv2d(torch.zeros(16, 16, 32, 32), torch.zeros(16, 16, 3, 3))
    print(json.dumps({"torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability()}))


def time_steps(step, pool, warm_up, seconds, distributed):
    """The times of steps after `warm_up` steps, for about `seconds`; with `distributed`, of equally many on every rank."""
    times, begin, count = [], None, None
    while begin is None or (len(times) < count if count else time.perf_counter() - begin < seconds):
        start = time.perf_counter()
        step(*pool[len(times) % len(pool)])
        times.append(time.perf_counter() - start)
        if len(times) == warm_up and begin is None:
            if distributed:
                wanted = torch.tensor([max(3, int(seconds / statistics.median(times)))])
                torch.distributed.broadcast(wanted, 0)
                count = int(wanted)
            times, begin = [], time.perf_counter()
    return times


def main():
    options = arguments()
    if options.describe:
        return describe()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    layout = LAYOUTS[options.layout]
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
    forward = torch.compile(model) if options.compile else model
    use_bf16 = options.precision == "bf16"

    def step(x, y):
        with torch.autocast("cpu", torch.bfloat16, enabled=use_bf16):
            loss = F.cross_entropy(forward(x), y)
        loss.backward()
        if is_language:
            nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    # PowerSGD starts at the third step.
    times = time_steps(step, pool, 10 if options.hook else 5, options.seconds, options.hook)
    median = statistics.median(times)
    samples = size * steps * world
    if options.hook:
        # No rank leaves while another still communicates with it.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    if rank > 0:
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({
        "model": options.model, "batch": size, "threads": options.threads, "ranks": world, "hook": options.hook,
        "precision": options.precision, "layout": options.layout, "compile": options.compile, "torch": torch.__version__,
        "samples_per_s": samples / median, "step_ms_median": 1e3 * median, "peak_rss_mb": peak,
    }))


if __name__ == "__main__":
    main()

"""ResNet-20 for CIFAR (He et al. 2016, section 4.2, option A) through ten steps of SGD with momentum and weight decay, for
make_golden.py."""

import torch
import torch.nn.functional as F

PROJECTION = 4

LABELS = [3, 1, 4, 1, 5, 9, 2, 6]
STEPS, RATE, MOMENTUM, DECAY = 10, 0.005, 0.9, 0.01
PICTURES = 204
# Runs that are disturbed as computing in float32 would: a parameter by a rounding at every update, what a layer computes by
# four, for it is a sum of many terms.
DISTURBED, ROUNDING = 4, 2.0**-24
# Bounds of the weights that are drawn: powers of two near sqrt(6 / fan_in).
SCALES = {3: 2**-1, 16: 2**-2, 32: 2**-3, 64: 2**-3, "fc": 2**-2}


def blocks():
    """Each block's name, its channels before and its filters."""
    before = 16
    for stage, filters in enumerate([16, 32, 64], start=1):
        for index in range(1, 4):
            yield f"stage{stage}.block{index}", before, filters
            before = filters


def shapes():
    """The parameters in their order, with the bound of those that are drawn; norms begin as ones and zeros."""

    def conv(name, filters, channels):
        yield f"{name}/weight", (filters, channels, 3, 3), SCALES[channels]

    def norm(name, filters):
        yield f"{name}/weight", (filters,), None
        yield f"{name}/bias", (filters,), None

    yield from conv("conv1", 16, 3)
    yield from norm("bn1", 16)
    for name, before, filters in blocks():
        yield from conv(f"{name}.conv1", filters, before)
        yield from norm(f"{name}.bn1", filters)
        yield from conv(f"{name}.conv2", filters, filters)
        yield from norm(f"{name}.bn2", filters)
    yield "fc/weight", (10, 64), SCALES["fc"]
    yield "fc/bias", (10,), None


def forward(x, tensors, running, disturb):
    def conv(x, name, stride=1):
        return disturb(F.conv2d(x, tensors[f"{name}/weight"], stride=stride, padding=1), 4)

    def norm(x, name):
        statistics = running[f"{name}/running_mean"], running[f"{name}/running_var"]
        y = F.batch_norm(x, *statistics, tensors[f"{name}/weight"], tensors[f"{name}/bias"], training=True)
        return disturb(y, 4)

    x = F.relu(norm(conv(x, "conv1"), "bn1"))
    for name, before, filters in blocks():
        stride = 1 if before == filters else 2
        y = F.relu(norm(conv(x, f"{name}.conv1", stride), f"{name}.bn1"))
        y = norm(conv(y, f"{name}.conv2"), f"{name}.bn2")
        if stride == 2:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before // 2, before // 2))
        x = F.relu(y + x)
    return F.linear(x.mean((2, 3)), tensors["fc/weight"], tensors["fc/bias"])


def beginnings(values):
    """The parameters and running statistics as they begin."""
    tensors, running = {}, {}
    for seed, (name, shape, scale) in enumerate(shapes()):
        start = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        tensors[name] = start if scale is None else scale * values(10 * seed, *shape)
        if ".bn" in name or name.startswith("bn"):
            statistic, start = ("mean", torch.zeros) if name.endswith("weight") else ("var", torch.ones)
            running[f"{name.split('/')[0]}/running_{statistic}"] = start(shape)
    return {**tensors, **running}


def direction(values, movement):
    """The first seed whose numbers a tensor's movement projects onto with at least half of its length. A random direction
    may be at a right angle to it, and a missing update would then pass."""
    seeds = range(PROJECTION, 1000 * 1000, 1000)
    sees = lambda seed: (movement * values(seed, *movement.shape)).sum().abs() >= movement.norm() / 2
    return next(seed for seed in seeds if sees(seed))


def run(values, dtype, noise=None):
    """Losses, and the parameters and running statistics at the end. With the seed `noise` all that is
    computed is disturbed."""
    torch.set_default_dtype(dtype)
    x = values(PICTURES, len(LABELS), 3, 32, 32).to(dtype)
    tensors = {name: tensor.to(dtype) for name, tensor in beginnings(values).items()}
    running = {name: tensors.pop(name) for name in list(tensors) if "running" in name}
    tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    decays = lambda name: name.endswith("weight") and ".bn" not in name and not name.startswith("bn")
    groups = [
        dict(params=[tensor for name, tensor in tensors.items() if decays(name) == kind], weight_decay=DECAY * kind)
        for kind in [True, False]
    ]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM)
    generator = torch.Generator().manual_seed(noise or 0)

    def disturb(tensor, roundings):
        if noise is None:
            return tensor
        return tensor * (1 + roundings * ROUNDING * (2 * torch.rand(tensor.shape, generator=generator) - 1))

    losses = []
    for _ in range(STEPS):
        loss = F.cross_entropy(forward(x, tensors, running, disturb), torch.tensor(LABELS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        for tensor in tensors.values():
            tensor.data = disturb(tensor.data, 1)
    torch.set_default_dtype(torch.float64)
    return losses, {name: tensor.detach().double() for name, tensor in {**tensors, **running}.items()}


def resnet(values, digits):
    """Also how far rounding alone leads apart what a run comes to: batch norm of few samples and rectifiers near zero make
    differences grow from step to step, so no fixed tolerance would mean anything."""
    losses, tensors = run(values, torch.float64)
    disturbed = [run(values, torch.float64, noise) for noise in range(1, DISTURBED + 1)]
    # What has once led apart will not come together again, though a loss may by chance.
    spread = [max(abs(l - m) for other, _ in disturbed for l, m in zip(other[: n + 1], losses)) for n in range(STEPS)]
    spreads = {name: max((other[name] - t).norm().item() for _, other in disturbed) for name, t in tensors.items()}
    # Not stored; the test's comments cite them.
    single, single_tensors = run(values, torch.float32)
    ratios = [abs(a - b) / s for a, b, s in zip(losses, single, spread)]
    print("ResNet-20: PyTorch's float32 differs in the losses by", max(ratios), "times as much as disturbed runs", spread)
    begun = beginnings(values)
    directions = {name: direction(values, t - begun[name]) for name, t in tensors.items()}
    project = lambda name, tensor: (tensor * values(directions[name], *tensor.shape)).sum().item()
    ratios = [abs(project(name, t - single_tensors[name])) / spreads[name] for name, t in tensors.items()]
    print("and in the projections by", max(ratios), "times the norm of their difference")
    return dict(
        pictures=PICTURES,
        labels=LABELS,
        rate=RATE,
        momentum=MOMENTUM,
        decay=DECAY,
        scales={name: scale for name, _, scale in shapes()},
        losses=[digits(loss, 12) for loss in losses],
        spread=[digits(value, 3) for value in spread],
        directions=directions,
        projections={name: digits(project(name, tensor), 12) for name, tensor in tensors.items()},
        spreads={name: digits(value, 3) for name, value in spreads.items()},
    )

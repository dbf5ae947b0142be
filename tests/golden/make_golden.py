"""Makes the JSON files beside it: what PyTorch says, in double precision, that our layers, LeNet, ResNet-20, a language
model and optimizers should compute. (PyTorch has no LARS and no RHN; they are written out here.)

    python3 -m venv env && env/bin/pip install torch numpy && env/bin/python tests/golden/make_golden.py

Inputs, parameters and projections are not stored: both sides compute them from `values`. Results are stored in
PyTorch's order, [N, C, H, W] or [N, C, L]. The files say which versions made them; tests/golden/main.rs reads them.
"""

import json
import pathlib
import platform

import numpy as np
import torch
import torch.nn.functional as F

from resnet_golden import resnet

torch.set_default_dtype(torch.float64)
# The seeds of `values`.
INPUT, WEIGHT, BIAS, PROJECTION = 1, 2, 3, 4


def values(seed, *shape):
    """Numbers in [-1, 1) with 24 bits, exact in float32: a hash (lowbias32) of the seed and of each element's index."""
    x = np.arange(np.prod(shape), dtype=np.uint32) + np.uint32(seed * 0x9E3779B9 % 2**32)
    for shift, factor in [(16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)]:
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return torch.tensor(((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(shape))


def pair(option):
    return option if isinstance(option, list) else [option, option]


# Letters: N samples, C channels, H W image, F filters, R S kernel, P Q output, D features, U units.
N, C, H, W = 2, 2, 7, 6
D = 9


def conv2d(x, o):
    groups, channels = o.get("groups", 1), x.shape[1]
    weight = values(WEIGHT, o["filters"], channels // groups, *pair(o["kernel"])).requires_grad_()
    bias = values(BIAS, o["filters"]).requires_grad_() if o.get("bias", True) else None
    y = F.conv2d(x, weight, bias, stride=o.get("stride", 1), padding=o.get("padding", 0), groups=groups)
    (r, s), (p, q) = pair(o["kernel"]), y.shape[2:]
    return y, weight, bias, dict(output=channels * r * s + 1, input=o["filters"] * r * s, parameters=len(x) * p * q)


def conv1d(x, o):
    groups, channels, dilation = o.get("groups", 1), x.shape[1], o.get("dilation", 1)
    weight = values(WEIGHT, o["filters"], channels // groups, o["kernel"]).requires_grad_()
    bias = values(BIAS, o["filters"]).requires_grad_() if o.get("bias", True) else None
    padding, padded = o.get("padding", 0), x
    if padding == "causal":
        padding, padded = 0, F.pad(x, (dilation * (o["kernel"] - 1), 0))
    y = F.conv1d(padded, weight, bias, o.get("stride", 1), padding, dilation, groups)
    terms = dict(output=channels * o["kernel"] + 1, input=o["filters"] * o["kernel"], parameters=len(x) * y.shape[2])
    return y, weight, bias, terms


def linear(x, o):
    weight = values(WEIGHT, o["units"], D).requires_grad_()
    bias = values(BIAS, o["units"]).requires_grad_() if o.get("bias", True) else None
    return F.linear(x, weight, bias), weight, bias, dict(output=D + 1, input=o["units"], parameters=N)


def pooling(pool, terms_of_a_mean, **more):
    def run(x, o):
        r, s = pair(o["kernel"])
        window = dict(stride=o.get("stride"), padding=o.get("padding", 0), ceil_mode=o.get("ceil", False))
        y = pool(x, o["kernel"], **window, **more)
        return y, None, None, dict(output=r * s if terms_of_a_mean else 1, input=r * s)

    return run


def pooling1d(pool, terms_of_a_mean, **more):
    def run(x, o):
        window = dict(stride=o.get("stride"), padding=o.get("padding", 0), ceil_mode=o.get("ceil", False))
        y = pool(x, o["kernel"], **window, **more)
        return y, None, None, dict(output=o["kernel"] if terms_of_a_mean else 1, input=o["kernel"])

    return run


def avg_pool1d(x, kernel, stride, **window):
    """`F.avg_pool1d` would divide windows over an end by their whole length: with `ceil_mode`, it has no other way."""
    image = x[:, :, None]
    padding = [0, window["padding"]]
    stride = [1, stride or kernel]
    return F.avg_pool2d(image, [1, kernel], stride, padding, window["ceil_mode"], count_include_pad=False)[:, :, 0]


def copied(function):
    return lambda x, o: (function(x), None, None, dict(output=1, input=1))


def relu(x, o):
    return F.relu(x), None, None, dict(output=1, input=1)


def activation(function):
    """A few roundings of numbers up to 4; a derivative may double them."""
    return lambda x, o: (function(x, o), None, None, dict(output=3, input=5))


def batch_norm(x, o):
    """Ghost batches one after the other, all of them into the same running statistics."""
    channels = x.shape[1]
    weight = values(WEIGHT, channels).requires_grad_() if o.get("affine", True) else None
    bias = values(BIAS, channels).requires_grad_() if o.get("affine", True) else None
    running = dict(running_mean=torch.zeros(channels), running_var=torch.ones(channels))
    rectify = F.relu if o.get("relu", False) else lambda y: y
    factors = dict(weight=weight, bias=bias, momentum=o.get("momentum", 0.1), eps=o.get("eps", 1e-5))
    ghosts = x.split(o.get("ghost_batch", len(x)))
    y = rectify(torch.cat([F.batch_norm(ghost, **running, training=True, **factors) for ghost in ghosts]))
    evaluated = rectify(F.batch_norm(x, **running, training=False, **factors)).detach()
    # Normalised values are below 4, and so is what multiplies them: a few roundings of 16; sums have N P Q terms of 4.
    terms = dict(output=8, input=16, parameters=4 * x.numel() // channels)
    return y, weight, bias, dict(**terms, statistics=dict(**running, evaluated=evaluated))


def layer_norm(x, o):
    """Over the features, or over the channels of each pixel."""
    units = x.shape[1]
    weight = values(WEIGHT, units).requires_grad_() if o.get("affine", True) else None
    bias = values(BIAS, units).requires_grad_() if o.get("affine", True) else None
    y = F.layer_norm(x.movedim(1, -1), [units], weight, bias, o.get("eps", 1e-5)).movedim(-1, 1)
    # As for batch norm.
    return y, weight, bias, dict(output=8, input=16, parameters=4 * x.numel() // units)


def local_response_norm(x, o):
    size, alpha, beta, k = o["size"], o.get("alpha", 1e-4), o.get("beta", 0.75), o.get("k", 1.0)
    if o.get("region") == "within_channel":
        y = x * (k + alpha * F.avg_pool2d(x * x, size, 1, size // 2)) ** -beta
    else:
        y = F.local_response_norm(x, size, alpha, beta, k)
    return y, None, None, dict(output=size, input=2 * size)


def global_avg_pool2d(x, o):
    return x.mean((2, 3)), None, None, dict(output=x.shape[2] * x.shape[3], input=1)


def global_avg_pool1d(x, o):
    return x.mean(2), None, None, dict(output=x.shape[2], input=1)


def shortcut(x, o):
    stride, more = o.get("stride", 1), o["channels"] - x.shape[1]
    x = F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, more // 2, more - more // 2))
    return x, None, None, dict(output=1, input=1)


LAYERS = {
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "local_response_norm": local_response_norm,
    "global_avg_pool2d": global_avg_pool2d,
    "shortcut": shortcut,
    "conv1d": conv1d,
    "max_pool1d": pooling1d(F.max_pool1d, False),
    "avg_pool1d": pooling1d(avg_pool1d, True),
    "global_avg_pool1d": global_avg_pool1d,
    "last_step": copied(lambda x: x[:, :, -1]),
    "flatten": copied(lambda x: x.flatten(1)),
    "conv2d": conv2d,
    "max_pool2d": pooling(F.max_pool2d, False),
    "avg_pool2d": pooling(F.avg_pool2d, True, count_include_pad=False),
    "linear": linear,
    "relu": relu,
    "leaky_relu": activation(lambda x, o: F.leaky_relu(x, o.get("slope", 0.01))),
    "tanh": activation(lambda x, o: torch.tanh(x)),
    "sigmoid": activation(lambda x, o: torch.sigmoid(x)),
    "gelu": activation(lambda x, o: F.gelu(x, approximate=o.get("approximate", "none"))),
}
# Functions that bend get inputs from [-4, 4) instead of [-1, 1).
SCALES = dict(tanh=4, sigmoid=4, gelu=4)

POOLINGS = [
    dict(kernel=2),
    dict(kernel=2, ceil=True),
    dict(kernel=3, stride=1),
    dict(kernel=3, stride=2),
    dict(kernel=3, stride=2, ceil=True),
    dict(kernel=3, stride=2, padding=1),
    dict(kernel=3, stride=2, padding=1, ceil=True),
    dict(kernel=2, stride=3, ceil=True),
    dict(kernel=[3, 2], stride=[3, 1], padding=[1, 1]),
]
SIGNAL = [3, 4, 7]
POOLINGS_1D = [dict(kernel=2), dict(kernel=3, stride=2, padding=1), dict(kernel=3, stride=2, ceil=True)]
CASES = [
    ("conv2d", dict(filters=3, kernel=3)),
    ("conv2d", dict(filters=3, kernel=3, stride=2, padding=1)),
    ("conv2d", dict(filters=2, kernel=[2, 3], stride=[1, 2], padding=[0, 1], bias=False)),
    ("conv2d", dict(filters=4, kernel=1)),
    ("conv2d", dict(filters=2, kernel=5, stride=3, padding=4)),
    *[("max_pool2d", options) for options in POOLINGS],
    *[("avg_pool2d", options) for options in POOLINGS],
    ("linear", dict(units=5)),
    ("linear", dict(units=4, bias=False)),
    ("relu", {}),
    ("conv2d", dict(filters=4, kernel=3, padding=1, groups=2)),
    ("batch_norm", {}),
    ("batch_norm", dict(eps=0.01, momentum=0.5, relu=True)),
    ("batch_norm", dict(affine=False)),
    ("batch_norm", dict(ghost_batch=1)),
    ("batch_norm", dict(ghost_batch=2), [6, 5]),
    ("batch_norm", {}, [7, 3]),
    ("local_response_norm", dict(size=5, alpha=0.5), [2, 7, 3, 2]),
    ("local_response_norm", dict(size=2, alpha=1.0, beta=0.6, k=2.0), [2, 4, 3, 2]),
    ("local_response_norm", dict(size=3, alpha=1.0, region="within_channel")),
    ("global_avg_pool2d", {}),
    ("shortcut", dict(channels=5, stride=2)),
    ("shortcut", dict(channels=4, stride=3)),
    # The batches above are so small that BLAS computes them; these are for the direct kernels.
    ("conv2d", dict(filters=7, kernel=3, padding=1), [9, 4, 5, 4]),
    ("conv2d", dict(filters=6, kernel=3, stride=2, padding=2, groups=2), [9, 4, 5, 4]),
    ("conv2d", dict(filters=4, kernel=[2, 3], stride=[1, 2], padding=[0, 1], groups=4, bias=False), [9, 4, 5, 4]),
    ("leaky_relu", {}),
    ("leaky_relu", dict(slope=0.3)),
    ("tanh", {}),
    ("sigmoid", {}),
    ("gelu", {}),
    ("gelu", dict(approximate="tanh")),
    ("layer_norm", {}, [5, 19]),
    ("layer_norm", dict(eps=0.01, affine=False), [3, 40]),
    ("layer_norm", {}, [3, 9, 4, 3]),
    # Sequences and signals, [N, C, L] in PyTorch.
    ("conv1d", dict(filters=3, kernel=3), SIGNAL),
    ("conv1d", dict(filters=4, kernel=4, padding="same", bias=False), SIGNAL),
    ("conv1d", dict(filters=4, kernel=3, stride=2, padding=1, groups=2), SIGNAL),
    ("conv1d", dict(filters=3, kernel=3, dilation=2, padding="same"), SIGNAL),
    ("conv1d", dict(filters=3, kernel=2, dilation=3, padding="causal"), SIGNAL),
    ("conv1d", dict(filters=5, kernel=5, stride=3, padding="causal"), [17, 3, 11]),
    ("conv1d", dict(filters=6, kernel=3, padding=2, groups=2), [17, 4, 5]),
    *[("max_pool1d", options, SIGNAL) for options in POOLINGS_1D],
    *[("avg_pool1d", options, SIGNAL) for options in POOLINGS_1D],
    ("global_avg_pool1d", {}, SIGNAL),
    ("last_step", {}, SIGNAL),
    ("flatten", {}, SIGNAL),
    ("flatten", {}, [2, 3, 2, 4]),
    ("batch_norm", {}, SIGNAL),
    ("batch_norm", dict(ghost_batch=1, relu=True), SIGNAL),
    ("layer_norm", {}, [3, 5, 4]),
]


def digits(value, count):
    return float(f"{value:.{count}g}")


def result(tensor, terms):
    """Nine digits name a float32 exactly. `terms`: how many numbers of magnitude at most 1 each element is a sum of."""
    return dict(shape=list(tensor.shape), values=[digits(v, 9) for v in tensor.flatten().tolist()], terms=terms)


def layer_case(kind, options, shape=None):
    """One layer under the loss sum(projection * output)."""
    scale = SCALES.get(kind, 1)
    x = values(INPUT, *(shape or ([N, D] if kind == "linear" else [N, C, H, W])))
    x = (scale * x).requires_grad_()
    y, weight, bias, terms = LAYERS[kind](x, options)
    (y * values(PROJECTION, *y.shape)).sum().backward()
    case = dict(layer=dict(type=kind, **options), input=list(x.shape), output=result(y, terms["output"]))
    case.update(dict(scale=scale) if scale != 1 else {})
    case["input_gradient"] = result(x.grad, terms["input"])
    for name, parameter in [("weight_gradient", weight), ("bias_gradient", bias)]:
        if parameter is not None:
            case[name] = result(parameter.grad, terms["parameters"])
    case.update({name: result(tensor, 8) for name, tensor in terms.get("statistics", {}).items()})
    return case


def loss_case(scale):
    """Mean softmax cross-entropy of logits within +-scale."""
    logits = (scale * values(INPUT, 4, 5)).requires_grad_()
    labels = [2, 0, 4, 2]
    loss = F.cross_entropy(logits, torch.tensor(labels))
    loss.backward()
    gradient = result(logits.grad, 1)["values"]
    return dict(scale=scale, shape=[4, 5], labels=labels, loss=loss.item(), gradient=gradient)


# Caffe's LeNet, which has no rectifier behind its convolutions; each scale is a power of two near the usual one.
LENET = [
    ("conv1", (20, 1, 5, 5), 2**-2),
    ("conv2", (50, 20, 5, 5), 2**-4),
    ("ip1", (500, 800), 2**-4),
    ("ip2", (10, 500), 2**-4),
]
LABELS = [3, 1, 4, 1, 5]
STEPS = 10
# The seed of the pictures: of a dozen, the one whose maxima and rectifiers are decided by the widest margin.
PICTURES = 104


def lenet_run(dtype):
    """Ten steps of SGD on one batch; biases do not decay. Returns the losses, the projections of the final parameters,
    and the smallest margin by which any maximum or rectifier was decided: float32 decides alike only if that is larger
    than its errors."""
    torch.set_default_dtype(dtype)
    x = ((values(PICTURES, len(LABELS), 1, 28, 28) + 1) / 2).to(dtype)
    tensors = {}
    for i, (name, shape, scale) in enumerate(LENET):
        tensors[f"{name}/weight"] = scale * values(WEIGHT + 10 * i, *shape)
        tensors[f"{name}/bias"] = scale * values(BIAS + 10 * i, shape[0])
    tensors = {name: tensor.to(dtype).requires_grad_() for name, tensor in tensors.items()}
    groups = [
        dict(params=[tensor for name, tensor in tensors.items() if name.endswith(kind)], weight_decay=decay)
        for kind, decay in [("weight", 0.0005), ("bias", 0.0)]
    ]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9)
    margins = []

    def pool(maps):
        windows = maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).sort().values
        margins.append((windows[..., 3] - windows[..., 2]).min().item())
        return F.max_pool2d(maps, 2)

    losses = []
    for _ in range(STEPS):
        maps = pool(F.conv2d(x, tensors["conv1/weight"], tensors["conv1/bias"]))
        maps = pool(F.conv2d(maps, tensors["conv2/weight"], tensors["conv2/bias"]))
        hidden = F.linear(maps.flatten(1), tensors["ip1/weight"], tensors["ip1/bias"])
        margins.append(hidden.abs().min().item())
        logits = F.linear(F.relu(hidden), tensors["ip2/weight"], tensors["ip2/bias"])
        loss = F.cross_entropy(logits, torch.tensor(LABELS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    def project(tensor):
        return (tensor.detach().double() * values(PROJECTION, *tensor.shape)).sum().item()

    return losses, {name: project(tensor) for name, tensor in tensors.items()}, min(margins)


def lenet():
    losses, projections, margin = lenet_run(torch.float64)
    assert margin > 2e-6, f"a maximum or rectifier is decided by {margin}: too little for float32 to decide alike"
    # Not stored; the test's comments cite them.
    single_losses, single_projections, _ = lenet_run(torch.float32)
    print("PyTorch's float32 differs in the losses by at most", max(abs(a - b) for a, b in zip(losses, single_losses)))
    print("and in the projections by", {n: abs(projections[n] - single_projections[n]) for n in projections})
    layers = [dict(name=name, shape=shape, scale=scale) for name, shape, scale in LENET]
    losses = [digits(loss, 12) for loss in losses]
    projections = {name: digits(projection, 12) for name, projection in projections.items()}
    return dict(pictures=PICTURES, labels=LABELS, layers=layers, losses=losses, projections=projections)


# Update rules, as job files name them, with PyTorch's class; a rate that changes on the way, and gradients of several
# sizes so that clipping to a norm comes and goes.
RATES = [0.05, 0.05, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01]
GRADIENT_SIZES = [1.0, 4.0, 0.25, 1.0, 2.0, 0.5, 0.125, 8.0, 1.0, 1.0]
ELEMENTS = dict(weight=37, bias=5)
OPTIMIZERS = [
    (dict(kind="sgd", momentum=0.0), torch.optim.SGD, {}),
    (dict(kind="sgd", momentum=0.9), torch.optim.SGD, dict(momentum=0.9)),
    (dict(kind="nesterov", momentum=0.9), torch.optim.SGD, dict(momentum=0.9, nesterov=True)),
    (dict(kind="adam"), torch.optim.Adam, {}),
    (dict(kind="adam", beta1=0.8, beta2=0.95, epsilon=0.001), torch.optim.Adam, dict(betas=(0.8, 0.95), eps=0.001)),
    (dict(kind="adam", decoupled_decay=True), torch.optim.AdamW, {}),
    (dict(kind="lars", momentum=0.9, trust=0.02), None, {}),
]


def lars(tensors, gradients, velocities, rate, decay, mu, trust):
    """Algorithm 1 of You, Gitman, Ginsburg 2017. Biases neither decay nor have a rate of their own."""
    for name, w in tensors.items():
        g, decay_here = gradients[name], decay if name == "weight" else 0.0
        local = trust * w.norm() / (g.norm() + decay_here * w.norm()) if name == "weight" else 1.0
        velocities[name] = mu * velocities[name] + rate * local * (g + decay_here * w)
        w -= velocities[name]


def optimizer_case(job, kind, options, decay, clip_norm):
    """Ten steps of a rule on a weight and a bias; gradients are made up, not computed. The bias does not decay."""
    tensors = {name: values(WEIGHT + 10 * i, count) for i, (name, count) in enumerate(ELEMENTS.items())}
    velocities = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    groups = [dict(params=[tensors[name]], weight_decay=decay * (name == "weight")) for name in tensors]
    optimizer = kind and kind(groups, lr=1.0, **options)
    for step, (rate, size) in enumerate(zip(RATES, GRADIENT_SIZES)):
        for i, tensor in enumerate(tensors.values()):
            tensor.grad = size * values(INPUT + 10 * step + 1000 * i, len(tensor))
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(tensors.values(), clip_norm)
        if optimizer:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        else:
            gradients = {name: tensor.grad for name, tensor in tensors.items()}
            lars(tensors, gradients, velocities, rate, decay, job["momentum"], job["trust"])
    job = dict(job, weight_decay=decay, **(dict(clip_norm=clip_norm) if clip_norm is not None else {}))
    return dict(optimizer=job, **{name: [digits(v, 12) for v in tensor.tolist()] for name, tensor in tensors.items()})


def optimizers():
    cases = [optimizer_case(*case, 0.01, clip_norm) for case in OPTIMIZERS for clip_norm in [None, 3.0]]
    return dict(rates=RATES, sizes=GRADIENT_SIZES, cases=cases)


# Recurrent layers. Letters: T steps, N samples, D features, H hidden units. Sequences are [T, N, D] on both sides. Parameters
# are half of `values`, seeds WEIGHT, WEIGHT + 1, ... in the layers' order; states before the first step too.
STATE = 50
T, RN, RD, H = 6, 3, 5, 7


def half(seed, *shape):
    return (values(seed, *shape) / 2).requires_grad_()


def torch_rnn(module, gates, x, states, **options):
    """weight_ih, weight_hh and one bias; PyTorch's other bias stays zero but for what a GRU needs of it."""
    layer = module(RD, H, **options)
    ih, hh, bias = half(WEIGHT, gates * H, RD), half(WEIGHT + 1, gates * H, H), half(WEIGHT + 2, gates * H)
    parameters = dict(weight_ih=ih, weight_hh=hh, bias=bias)
    other = torch.zeros(gates * H)
    if gates == 3:
        parameters["bias_n"] = half(WEIGHT + 3, H)
        other = torch.cat([torch.zeros(2 * H), parameters["bias_n"]])
    names = dict(weight_ih_l0=ih, weight_hh_l0=hh, bias_ih_l0=bias, bias_hh_l0=other)
    states = [state[None] for state in states]
    y, after = torch.func.functional_call(layer, names, (x, tuple(states) if len(states) > 1 else states[0]))
    after = after if isinstance(after, tuple) else (after,)
    return y, [state[0] for state in after], parameters


def bidirectional(module, gates, x, **options):
    """Without an initial state. The names are those of our layers: NAME.forward and NAME.reverse."""
    layer, names, parameters = module(RD, H, bidirectional=True, **options), {}, {}
    for direction, (ours, theirs) in enumerate([("forward", ""), ("reverse", "_reverse")]):
        seed = WEIGHT + (4 if gates == 3 else 3) * direction
        ih, hh, bias = half(seed, gates * H, RD), half(seed + 1, gates * H, H), half(seed + 2, gates * H)
        own, other = dict(weight_ih=ih, weight_hh=hh, bias=bias), torch.zeros(gates * H)
        if gates == 3:
            own["bias_n"] = half(seed + 3, H)
            other = torch.cat([torch.zeros(2 * H), own["bias_n"]])
        torch_names = dict(weight_ih_l0=ih, weight_hh_l0=hh, bias_ih_l0=bias, bias_hh_l0=other)
        names |= {name + theirs: tensor for name, tensor in torch_names.items()}
        parameters |= {f"layer.{ours}/{name}": tensor for name, tensor in own.items()}
    y, _ = torch.func.functional_call(layer, names, (x,))
    return y, [], parameters


def rhn(depth, transform_bias, x, states):
    """Zilly et al., 2017, equations 6 to 9 with c = 1 - t; PyTorch has no such layer."""
    parameters = dict(
        weight_ih=half(WEIGHT, 2 * H, RD), weight_hh=half(WEIGHT + 1, depth, 2 * H, H), bias=half(WEIGHT + 2, depth, 2 * H)
    )
    [s], outputs = states, []
    for step in x:
        for level in range(depth):
            sums = s @ parameters["weight_hh"][level].T + parameters["bias"][level]
            if level == 0:
                sums = sums + step @ parameters["weight_ih"].T
            h, t = torch.tanh(sums[:, :H]), torch.sigmoid(sums[:, H:] + transform_bias)
            s = h * t + s * (1 - t)
        outputs.append(s)
    return torch.stack(outputs), [s], parameters


RECURRENT = [
    (dict(type="lstm", hidden=H), 2, lambda x, s: torch_rnn(torch.nn.LSTM, 4, x, s)),
    (dict(type="gru", hidden=H), 1, lambda x, s: torch_rnn(torch.nn.GRU, 3, x, s)),
    (dict(type="rnn", hidden=H), 1, lambda x, s: torch_rnn(torch.nn.RNN, 1, x, s)),
    (
        dict(type="rnn", hidden=H, nonlinearity="relu"),
        1,
        lambda x, s: torch_rnn(torch.nn.RNN, 1, x, s, nonlinearity="relu"),
    ),
    (dict(type="rhn", hidden=H, depth=3, transform_bias=-2.0), 1, lambda x, s: rhn(3, -2.0, x, s)),
]
BIDIRECTIONAL = [
    (dict(type="lstm", hidden=H, bidirectional=True), 0, lambda x, s: bidirectional(torch.nn.LSTM, 4, x)),
    (dict(type="gru", hidden=H, bidirectional=True), 0, lambda x, s: bidirectional(torch.nn.GRU, 3, x)),
    (
        dict(type="rnn", hidden=H, nonlinearity="relu", bidirectional=True),
        0,
        lambda x, s: bidirectional(torch.nn.RNN, 1, x, nonlinearity="relu"),
    ),
]


def nine(tensor):
    return [digits(v, 9) for v in tensor.flatten().tolist()]


def recurrent_case(layer, states, run):
    x = values(INPUT, T, RN, RD).requires_grad_()
    y, after, parameters = run(x, [half(STATE + i, RN, H).detach() for i in range(states)])
    (y * values(PROJECTION, *y.shape)).sum().backward()
    return dict(
        layer=layer,
        input=[T, RN, RD],
        output=nine(y),
        states=[nine(state) for state in after],
        input_gradient=nine(x.grad),
        gradients={name: nine(tensor.grad) for name, tensor in parameters.items()},
    )


def embedding_case():
    tokens, words, features = [4, 0, 2, 4, 1, 4], 6, 3
    weight = values(WEIGHT, words, features).requires_grad_()
    y = F.embedding(torch.tensor(tokens), weight)
    (y * values(PROJECTION, *y.shape)).sum().backward()
    return dict(tokens=tokens, words=words, features=features, output=nine(y), gradient=nine(weight.grad))


# A language model like `lstm-small`: two levels of LSTM behind an embedding, the state carried from batch to batch. Tied, the
# logits' weight is the embedding's, and its gradient the sum of both uses (Press and Wolf, 2017). The norms to clip at lie
# between those of the steps.
WORDS, UNITS, UNROLLED, STREAMS, LM_RATE = 60, 24, 7, 4, 0.5
LM_CLIP = dict(separate=0.225, tied=0.26)
LM_SCALES = [
    ("embedding/weight", (WORDS, UNITS), 0.5),
    ("lstm1/weight_ih", (4 * UNITS, UNITS), 0.25),
    ("lstm1/weight_hh", (4 * UNITS, UNITS), 0.25),
    ("lstm1/bias", (4 * UNITS,), 0.25),
    ("lstm2/weight_ih", (4 * UNITS, UNITS), 0.25),
    ("lstm2/weight_hh", (4 * UNITS, UNITS), 0.25),
    ("lstm2/bias", (4 * UNITS,), 0.25),
    ("logits/weight", (WORDS, UNITS), 0.25),
    ("logits/bias", (WORDS,), 0.25),
]


def stream(step):
    """The words of batch `step` and those that follow them: [T, N] each."""
    words = ((values(100 + step, UNROLLED + 1, STREAMS) + 1) / 2 * WORDS).long()
    return words[:-1], words[1:]


def scales(kind):
    return [entry for entry in LM_SCALES if kind == "separate" or entry[0] != "logits/weight"]


def language_run(kind, dtype):
    torch.set_default_dtype(dtype)
    tensors = {
        name: (scale * values(WEIGHT + 10 * i, *shape)).to(dtype).requires_grad_()
        for i, (name, shape, scale) in enumerate(scales(kind))
    }
    table = tensors["embedding/weight" if kind == "tied" else "logits/weight"]
    optimizer = torch.optim.SGD(tensors.values(), lr=LM_RATE, momentum=0.9)
    levels = [torch.nn.LSTM(UNITS, UNITS) for _ in range(2)]
    states = [(torch.zeros(1, STREAMS, UNITS), torch.zeros(1, STREAMS, UNITS)) for _ in levels]
    losses, norms = [], []
    for step in range(STEPS):
        words, labels = stream(step)
        rows = F.embedding(words, tensors["embedding/weight"])
        for i, level in enumerate(levels):
            of = f"lstm{i + 1}/"
            names = {f"{name}_l0": tensors[of + name] for name in ["weight_ih", "weight_hh"]}
            names |= dict(bias_ih_l0=tensors[of + "bias"], bias_hh_l0=torch.zeros(4 * UNITS))
            rows, after = torch.func.functional_call(level, names, (rows, states[i]))
            states[i] = tuple(state.detach() for state in after)
        logits = F.linear(rows, table, tensors["logits/bias"])
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(tensors.values(), LM_CLIP[kind]).item())
        optimizer.step()
        losses.append(loss.item())
    assert min(norms) < LM_CLIP[kind] < max(norms), norms

    def project(tensor):
        return (tensor.detach().double() * values(PROJECTION, *tensor.shape)).sum().item()

    return losses, {name: project(tensor) for name, tensor in tensors.items()}


def language(kind):
    losses, projections = language_run(kind, torch.float64)
    single_losses, single_projections = language_run(kind, torch.float32)
    torch.set_default_dtype(torch.float64)
    print("PyTorch's float32 differs in the losses by at most", max(abs(a - b) for a, b in zip(losses, single_losses)))
    print("and in the projections by", {n: abs(projections[n] - single_projections[n]) for n in projections})
    return dict(
        words=WORDS,
        units=UNITS,
        steps=UNROLLED,
        streams=STREAMS,
        learning_rate=LM_RATE,
        clip_norm=LM_CLIP[kind],
        scales={name: scale for name, _, scale in scales(kind)},
        losses=[digits(loss, 12) for loss in losses],
        projections={name: digits(projection, 12) for name, projection in projections.items()},
    )


def write(name, **content):
    made_with = dict(torch=torch.__version__, numpy=np.__version__, python=platform.python_version())
    text = json.dumps(dict(made_with=made_with, **content), separators=(",", ":"))
    # A line a case, so that a change shows where it is.
    text = text.replace('{"layer"', '\n{"layer"').replace('{"scale"', '\n{"scale"')
    text = text.replace('{"optimizer"', '\n{"optimizer"').replace('"tied"', '\n"tied"') + "\n"
    (pathlib.Path(__file__).parent / name).write_text(text)


write("layers.json", layers=[layer_case(*case) for case in CASES], losses=[loss_case(scale) for scale in [4.0, 512.0]])
write("lenet.json", **lenet())
write("resnet.json", **resnet(values, digits))
write("optimizers.json", **optimizers())
torch.set_default_dtype(torch.float64)
write(
    "recurrent.json",
    layers=[recurrent_case(*case) for case in RECURRENT],
    bidirectional=[recurrent_case(*case) for case in BIDIRECTIONAL],
    embedding=embedding_case(),
)
write("language.json", **{kind: language(kind) for kind in LM_CLIP})

"""Losses with their options, for make_golden.py: the sum over samples divided by their number, also where PyTorch's mean
divides by a sum of weights."""

import torch
import torch.nn.functional as F

INPUT, TARGET = 1, 5
SAMPLES, OUTPUTS = 8, 5
LABELS = [2, 0, 4, 2, 1, 1, 3, 0]
WEIGHTS = [1.0, 0.5, 2.0, 0.0, 4.0]

CASES = [
    ("cross-entropy", dict(weights=WEIGHTS)),
    ("cross-entropy", dict(smoothing=0.125)),
    ("cross-entropy", dict(weights=WEIGHTS, smoothing=0.25)),
    ("binary-cross-entropy", {}),
    ("binary-cross-entropy", dict(weights=WEIGHTS)),
    ("mse", {}),
    ("mae", {}),
    ("huber", dict(delta=1.0)),
    ("huber", dict(delta=0.25)),
]


def loss_of(kind, options, outputs, values):
    """The loss of all samples, each the mean over its outputs."""
    weights = torch.tensor(options["weights"]) if "weights" in options else None
    if kind == "cross-entropy":
        smoothing = options.get("smoothing", 0.0)
        each = F.cross_entropy(outputs, torch.tensor(LABELS), weights, reduction="none", label_smoothing=smoothing)
        return each.mean()
    if kind == "binary-cross-entropy":
        return F.binary_cross_entropy_with_logits(outputs, (values > 0).double(), pos_weight=weights)
    if kind == "huber":
        return F.huber_loss(outputs, values, delta=options["delta"])
    return {"mse": F.mse_loss, "mae": F.l1_loss}[kind](outputs, values)


def losses(values):
    """Every case with outputs within 4 and with outputs within 512. Targets are within 1, or 1 where that is positive."""

    def case(kind, options, scale):
        outputs = (scale * values(INPUT, SAMPLES, OUTPUTS)).requires_grad_()
        loss = loss_of(kind, options, outputs, values(TARGET, SAMPLES, OUTPUTS))
        loss.backward()
        gradient = [float(f"{g:.9g}") for g in outputs.grad.flatten().tolist()]
        return dict(scale=scale, loss=kind, **options, value=loss.item(), gradient=gradient)

    cases = [case(kind, options, scale) for kind, options in CASES for scale in [4.0, 512.0]]
    return dict(shape=[SAMPLES, OUTPUTS], labels=LABELS, cases=cases)

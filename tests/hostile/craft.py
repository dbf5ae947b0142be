"""Crafts checkpoints that lie: `craft.py CHECKPOINT DIRECTORY` changes copies of CHECKPOINT with h5py. Their headers no longer
fit; the tests make new ones, so that only the reader's own checks stand between these files and the program.

DIRECTORY/refused/NAME.h5 must be refused by every command; the first line of NAME.txt is part of the reason.
DIRECTORY/odd/NAME.h5 hold impossible or unusual values in the right structure: no command may crash, hang or use much memory.
DIRECTORY/fine/NAME.h5 hold more than a checkpoint needs and must load.
"""

import os
import shutil
import sys

import h5py
import numpy as np

BASE, OUT = sys.argv[1], sys.argv[2]
WEIGHT = "parameters/conv1/weight"
TEXT = h5py.string_dtype("utf-8")
OUTSIDE = os.path.join(OUT, "outside.txt")
FIFO = os.path.join(OUT, "fifo.h5")

refused, odd, fine = [], [], []


def case(cases, name, part=""):
    def add(change):
        cases.append((name, part, change))
        return change

    return add


def replaced(path, make):
    """A change that removes what is at `path` and calls `make` with its group and name."""

    def change(file):
        group, name = os.path.split(path)
        del file[path]
        make(file[group or "/"], name)

    return change


def attribute(path, name, value, **kind):
    """A change that replaces an attribute; without a `value`, its data space is null."""

    def change(file):
        attributes = file[path].attrs
        if name in attributes:
            del attributes[name]
        attributes.create(name, value, **kind)

    return change


def empty(dtype):
    return h5py.Empty(dtype)


# Links.
for name, make, part in [
    ("soft", lambda g, n: g.__setitem__(n, h5py.SoftLink("/parameters/conv1/bias")), "soft link"),
    ("soft-dangling", lambda g, n: g.__setitem__(n, h5py.SoftLink("/nowhere")), "soft link"),
    ("soft-to-itself", lambda g, n: g.__setitem__(n, h5py.SoftLink(g.name + "/" + n)), "soft link"),
    ("external", lambda g, n: g.__setitem__(n, h5py.ExternalLink(BASE, "/" + WEIGHT)), "external link"),
    ("external-fifo", lambda g, n: g.__setitem__(n, h5py.ExternalLink(FIFO, "/x")), "external link"),
]:
    refused.append((f"link-{name}-tensor", part, replaced(WEIGHT, make)))
    refused.append((f"link-{name}-group", part, replaced("progress/metrics", make)))
    refused.append((f"link-{name}-network", part, replaced("network", make)))

for place in ["parameters", "optimizer", "progress", "parameters/conv1", "network", WEIGHT]:
    refused.append((f"missing-{place.replace('/', '-')}", "", replaced(place, lambda g, n: None)))


@case(refused, "group-for-tensor", "is not a data set")
def _(file):
    del file[WEIGHT]
    file.copy("progress/metrics", WEIGHT)


@case(refused, "cycle", "is not a data set")
def _(file):
    file["parameters/conv1/loop"] = file["parameters"]


@case(refused, "tensor-for-group", "is not a group")
def _(file):
    del file["progress/metrics"]
    file["progress/metrics"] = 1.0


# Data spaces.
STRINGS = [("/", "format"), ("/", "program_version"), ("/", "created"), ("progress", "best_metric"), ("progress", "gradients")]
COUNTS = [("progress", name) for name in ["step", "epoch", "samples_seen", "ranks", "threads", "best_step"]]
FLOATS = [("progress", "best_value"), ("progress", "best_loss"), ("progress/metrics", "validation_loss")]
for kind, dtype, names in [("string", TEXT, STRINGS), ("count", "<u8", COUNTS), ("float", "<f8", FLOATS)]:
    for path, name in names:
        refused.append((f"null-{kind}-{name}", "null data space", attribute(path, name, empty(dtype))))
for path, name in STRINGS[:1] + COUNTS[:1] + FLOATS[:1]:
    value = "x" if (path, name) in STRINGS else 1
    dtype = TEXT if (path, name) in STRINGS else "<u8" if (path, name) in COUNTS else "<f8"
    refused.append((f"array-{name}", "it is not", attribute(path, name, [value] * 2, dtype=dtype)))
    refused.append((f"array-of-one-{name}", "it is not", attribute(path, name, [value], dtype=dtype)))
refused.append(("null-network", "null data space", replaced("network", lambda g, n: g.create_dataset(n, data=empty(TEXT)))))
refused.append(("null-tensor", "null data space", replaced(WEIGHT, lambda g, n: g.create_dataset(n, data=empty("<f4")))))
refused.append(("two-networks", "not a single string", replaced("network", lambda g, n: g.create_dataset(n, data=["{}", "{}"], dtype=TEXT))))

# Types.
for dtype, name in [("<i8", -1), ("<f8", 1.5), ("<u4", 1), ("<i4", 1), (">u8", 1), ("?", True), (TEXT, "1"), ("S3", b"1")]:
    label = np.dtype(dtype).str.strip("<>|") if dtype != TEXT else "text"
    refused.append((f"step-of-{label}-{'big' if str(dtype).startswith('>') else 'little'}", "not an unsigned 64-bit integer", attribute("progress", "step", name, dtype=dtype)))
for dtype in ["<f8", ">f4", "<i4", "<f2", "S4", "V4", [("a", "<f4")], "(2,)<f4"]:
    label = "".join(c for c in str(dtype) if c.isalnum())

    def tensor(g, n, dtype=dtype):
        g.create_dataset(n, shape=(4, 1, 3, 3), dtype=np.dtype(dtype))[...] = np.zeros((4, 1, 3, 3), np.dtype(dtype))

    refused.append((f"tensor-of-{label}{'-big' if str(dtype).startswith('>') else ''}", "not of 32-bit floats", replaced(WEIGHT, tensor)))
refused.append(("network-of-fixed-length", "not of strings of variable length", replaced("network", lambda g, n: g.create_dataset(n, data=b"{}", dtype="S2"))))
refused.append(("network-of-bytes", "not a single string", replaced("network", lambda g, n: g.create_dataset(n, data=np.frombuffer(b"{}", np.uint8)))))
refused.append(("opaque-step", "not an unsigned", attribute("progress", "step", np.void(b"12345678"))))


@case(refused, "sequence-for-text", "it is not")
def _(file):
    del file.attrs["created"]
    bytes_of_any_length = h5py.h5t.vlen_create(h5py.h5t.STD_U8LE)
    h5py.h5a.create(file.id, b"created", bytes_of_any_length, h5py.h5s.create(h5py.h5s.SCALAR))


@case(refused, "named-type", "shared")
def _(file):
    file["type"] = np.dtype("<f4")
    del file[WEIGHT]
    file.create_dataset(WEIGHT, shape=(4, 1, 3, 3), dtype=file["type"])[...] = 0


# Storage.
STORED = [
    ("chunked", {"chunks": (4, 1, 3, 3)}, "chunks"),
    ("gzip", {"chunks": (4, 1, 3, 3), "compression": "gzip"}, "filter"),
    ("lzf", {"compression": "lzf"}, "filter"),
    ("shuffle", {"shuffle": True}, "filter"),
    ("checksum", {"fletcher32": True}, "filter"),
    ("resizable", {"maxshape": (None, 1, 3, 3)}, "can change"),
]
for name, options, part in STORED:
    refused.append((f"stored-{name}", part, replaced(WEIGHT, lambda g, n, o=options: g.create_dataset(n, data=np.zeros((4, 1, 3, 3), "<f4"), **o))))


def low_level(prepare, shape=(4, 1, 3, 3), dtype=h5py.h5t.IEEE_F32LE, write=False):
    """A change that replaces the weight by a data set with properties that h5py's own interface does not offer."""

    def change(file):
        del file[WEIGHT]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        prepare(properties)
        space = h5py.h5s.create_simple(shape)
        made = h5py.h5d.create(file.id, WEIGHT.encode(), dtype, space, properties)
        if write:
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(shape, "<f4"))

    return change


refused.append(("never-written", "was never written", low_level(lambda p: None)))
refused.append(("never-written-fill", "was never written", low_level(lambda p: p.set_fill_value(np.array(7, "<f4")))))
refused.append(("compact", "compact", low_level(lambda p: p.set_layout(h5py.h5d.COMPACT), write=True)))
refused.append(("external-file", "external storage", low_level(lambda p: p.set_external(OUTSIDE.encode(), 0, 144))))
refused.append(("external-passwd", "external storage", low_level(lambda p: p.set_external(b"/etc/passwd", 0, 144))))
refused.append(("external-fifo", "external storage", low_level(lambda p: p.set_external(FIFO.encode(), 0, 144))))
refused.append(("external-device", "external storage", low_level(lambda p: p.set_external(b"/dev/zero", 0, 144))))


@case(refused, "virtual", "virtual")
def _(file):
    del file[WEIGHT]
    layout = h5py.VirtualLayout((4, 1, 3, 3), "<f4")
    layout[...] = h5py.VirtualSource(BASE, WEIGHT, (4, 1, 3, 3))
    file.create_virtual_dataset(WEIGHT, layout)


# Sizes. HDF5 allocates nothing until values are written.
for name, shape in [("huge", (2**31, 2**30)), ("nearly-2-to-the-64", (2**32, 2**28)), ("many-dimensions", (2,) * 32), ("large", (2**20, 2**10))]:
    refused.append((f"shape-{name}", "", low_level(lambda p: None, shape=shape)))
refused.append(("vocabulary-huge", "", lambda f: f.create_dataset("vocabulary", shape=(2**40,), dtype=TEXT)))
refused.append(("vocabulary-never-written", "was never written", lambda f: f.create_dataset("vocabulary", shape=(3,), dtype=TEXT)))
refused.append(("vocabulary-of-numbers", "not of strings", lambda f: f.create_dataset("vocabulary", data=[1, 2])))

# Texts that are not in the file: the descriptor is a length, an address and an index.
raw = []


def descriptor(name, part, length=None, address=None, number=None):
    raw.append((name, part, (length, address, number)))


descriptor("text-longer-than-its-heap", "not where its description says", length=4000)
descriptor("text-of-4-GB", "add up to more than the file", length=2**32 - 1)
descriptor("text-shorter", "not where its description says", length=1)
descriptor("text-outside", "", address=2**40)
descriptor("text-at-the-edge", "", address=2**64 - 2)
descriptor("text-nowhere", "", address=2**64 - 1)
descriptor("text-in-the-superblock", "not in a heap", address=0)
descriptor("text-of-another-number", "not where its description says", number=999)
descriptor("text-of-no-number", "not where its description says", number=0)


@case(refused, "text-not-utf8", "not UTF-8")
def _(file):
    del file["job"]
    file.create_dataset("job", data=b"name = \"\xff\"", dtype=h5py.string_dtype("utf-8"))


@case(refused, "network-not-json", "not JSON")
def _(file):
    del file["network"]
    file.create_dataset("network", data="{", dtype=TEXT)


# Old and new ways to store groups.
@case(refused, "group-without-order", "order in which")
def _(file):
    del file["parameters"]
    properties = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    properties.set_link_creation_order(0)
    # A UTF-8 name turns it into a new-style group.
    h5py.h5g.create(file.id, b"parameters", gcpl=properties)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    h5py.h5g.create(file["parameters"].id, "größe".encode(), lcpl=links)


@case(refused, "group-of-the-old-kind", "old kind")
def _(file):
    del file["parameters"]
    h5py.h5g.create(file.id, b"parameters")
    h5py.h5g.create(file["parameters"].id, b"conv1")


@case(refused, "attributes-in-a-heap", "")
def _(file):
    del file["progress/metrics"]
    group = file["progress"].create_group("metrics", track_order=True)
    for number in range(20):
        group.attrs[f"metric {number}"] = float(number)


@case(refused, "long-name", "more than 1024 bytes")
def _(file):
    file.create_group("parameters/" + "l" * 60_000, track_order=False)


@case(refused, "long-names-of-one-tensor", "far longer than the file")
def _(file):
    layer = file["parameters"].create_group("l" * 1000)
    file.move(layer.name, "parameters/moved")
    del file["parameters/moved"]
    file.copy("parameters/conv1", "parameters/" + "l" * 1000)
    layer = file["parameters/" + "l" * 1000]
    layer.create_dataset("empty", shape=(0,), dtype="<f4")
    for number in range(5000):
        layer[str(number)] = layer["empty"]


# Values that the structure allows.
for name, value in [("zero", 0), ("largest", 2**64 - 1), ("half", 2**63)]:
    for path, attr in COUNTS:
        odd.append((f"{attr}-{name}", "", attribute(path, attr, value, dtype="<u8")))
for name, value in [("nan", np.nan), ("infinite", -np.inf), ("huge", 1e308)]:
    for path, attr in FLOATS:
        odd.append((f"{attr}-{name}", "", attribute(path, attr, value, dtype="<f8")))
for name, text in [("empty", ""), ("escape", "\x1b[31mred\x1b]0;title\x07"), ("long", "x" * 60_000), ("unicode", "\u202e\u0085ö")]:
    for path, attr in STRINGS[1:]:
        odd.append((f"{attr}-{name}", "", attribute(path, attr, text, dtype=TEXT)))
NETWORKS = {
    "empty": "{}", "list": "[]", "null": "null", "deep": "[" * 100_000 + "]" * 100_000, "number": "1e999",
    "no-layers": '{"input": {"channels": 1, "height": 8, "width": 8}, "layers": []}',
    "huge-input": '{"input": {"channels": 4294967296, "height": 4294967296, "width": 4294967296}, "layers": []}',
    "huge-units": '{"input": {"channels": 1, "height": 8, "width": 8}, "layers": [{"name": "flatten_1", "type": "flatten"}, {"name": "logits", "type": "linear", "units": 4611686018427387904}]}',
    "large-units": '{"input": {"channels": 1, "height": 8, "width": 8}, "layers": [{"name": "flatten_1", "type": "flatten"}, {"name": "logits", "type": "linear", "units": 1073741824}]}',
    "escape": '{"input": {"channels": 1, "height": 8, "width": 8}, "layers": [{"name": "\\u001b[31m", "type": "relu"}]}',
}
for name, network in NETWORKS.items():
    odd.append((f"network-{name}", "", replaced("network", lambda g, n, t=network: g.create_dataset(n, data=t, dtype=TEXT))))
for name, job in {"empty": "", "long": "x = 1\n" * 100_000, "broken": "[[[", "deep": "a=" + "[" * 50_000}.items():
    odd.append((f"job-{name}", "", replaced("job", lambda g, n, t=job: g.create_dataset(n, data=t, dtype=TEXT))))


@case(odd, "values-not-finite")
def _(file):
    file[WEIGHT][...] = np.nan


@case(odd, "tensor-twice")
def _(file):
    file["parameters/conv1/again"] = file[WEIGHT]


@case(odd, "many-tensors")
def _(file):
    for number in range(3000):
        file["parameters/conv1"].create_dataset(f"tensor {number}", data=np.zeros(1, "<f4"))


@case(odd, "state-of-another-size")
def _(file):
    file.create_group("carried", track_order=True)
    del file["carried"]
    file.copy("parameters", "carried")


@case(odd, "optimizer-of-another-network")
def _(file):
    del file["optimizer/momentum/conv1"]


@case(odd, "vocabulary-for-images")
def _(file):
    file.create_dataset("vocabulary", data=["a", "b"], dtype=TEXT)


@case(odd, "data-of-another-set")
def _(file):
    file["data/training"].attrs.modify("contents", "0")


@case(odd, "gradients-unknown")
def _(file):
    file["progress"].attrs.modify("gradients", "quantum")


# More than the reader accepts.
@case(fine, "another-group")
def _(file):
    file.create_group("mine/deep/er")
    file["mine/number"] = [1, 2, 3]


@case(fine, "another-attribute")
def _(file):
    file.attrs["note"] = "mine"
    file["progress"].attrs["note"] = [1, 2]


@case(fine, "an-annotated-tensor")
def _(file):
    file[WEIGHT].attrs["note"] = "mine"


@case(fine, "many-root-members")
def _(file):
    for number in range(300):
        file.create_group(f"more {number}")


def overwrite_descriptor(path, change):
    """Overwrites fields of the descriptor of `job`: a length, an address and a number."""
    with h5py.File(path) as file:
        at = file["job"].id.get_offset()
    with open(path, "r+b") as file:
        for value, offset, size in zip(change, (0, 4, 12), (4, 8, 4)):
            if value is not None:
                file.seek(at + offset)
                file.write(value.to_bytes(size, "little"))


def overwrite_shapes(path, lengths):
    """Overwrites the shape of each tensor of 4 x 1 x 3 x 3, which HDF5 itself would not do."""
    pack = lambda shape: b"".join(length.to_bytes(8, "little") for length in shape)
    with open(path, "rb") as file:
        content = file.read()
    assert pack((4, 1, 3, 3)) in content
    with open(path, "wb") as file:
        file.write(content.replace(pack((4, 1, 3, 3)), pack(lengths)))


def main():
    for kind, cases in [("refused", refused), ("odd", odd), ("fine", fine)]:
        os.makedirs(os.path.join(OUT, kind))
        for name, part, change in cases:
            path = os.path.join(OUT, kind, name)
            shutil.copy(BASE, path + ".h5")
            with h5py.File(path + ".h5", "r+") as file:
                change(file)
            with open(path + ".txt", "w") as text:
                text.write(part)
    for name, part, change in raw:
        path = os.path.join(OUT, "refused", name)
        shutil.copy(BASE, path + ".h5")
        overwrite_descriptor(path + ".h5", change)
        with open(path + ".txt", "w") as text:
            text.write(part)
    for name, lengths in [("wrapping", (2**32,) * 4), ("wrapping-to-36", (2**62 + 9, 4, 1, 1)), ("other", (4, 1, 3, 2))]:
        path = os.path.join(OUT, "refused", f"shape-{name}")
        shutil.copy(BASE, path + ".h5")
        overwrite_shapes(path + ".h5", lengths)
        open(path + ".txt", "w").close()


main()

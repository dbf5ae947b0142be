"""Makes images.json beside it: what Pillow makes of images, as torchvision's transforms call it.

    python3 -m venv env && env/bin/pip install "pillow<13" && env/bin/python tests/golden/make_images.py

Pillow 13 resizes the columns of some images before the rows, so that a value may differ by 1.

- `resized`: images of `noise`, resized with `Resize` and `CenterCrop` ("crop") or to a size ("stretch"); the SHA-256 of the
  result, [H, W, C]
- `decoded`: PNG files of every kind (hexadecimal), with the pixels of `convert("RGB")` and `convert("L")`
- `jpegs`: JPEG files, with the pixels of `convert("RGB")`
"""

import hashlib
import io
import json
import pathlib
import platform

import PIL
from PIL import Image, features


def noise(seed, height, width, channels):
    """Bytes: the upper ones of a hash (lowbias32) of the seed and of each value's index."""
    out = bytearray()
    for index in range(height * width * channels):
        x = (index + seed * 0x9E3779B9) % 2**32
        for shift, factor in [(16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)]:
            x = ((x ^ (x >> shift)) * factor) % 2**32
        out.append(x >> 24)
    return bytes(out)


def resized(image, size, how):
    height, width = size
    if how == "stretch":
        return image.resize((width, height), Image.BILINEAR)
    # torchvision.transforms.Resize for a square: the shorter side gets the size, the longer is truncated. In general, the
    # image covers the size.
    if height * image.width >= width * image.height:
        to = (int(height * image.width / image.height), height)
    else:
        to = (width, int(width * image.height / image.width))
    image = image.resize(to, Image.BILINEAR)
    # torchvision.transforms.CenterCrop.
    top, left = int(round((image.height - height) / 2.0)), int(round((image.width - width) / 2.0))
    return image.crop((left, top, left + width, top + height))


def resize_cases():
    images = [(1, 1), (1, 7), (5, 3), (16, 16), (17, 31), (33, 20), (64, 48), (100, 101), (250, 199), (300, 8)]
    sizes = [(1, 1), (2, 3), (8, 8), (16, 16), (15, 32), (48, 64), (224, 224)]
    for number, image in enumerate(images):
        for channels in 1, 3:
            pixels = noise(number, *image, channels)
            picture = Image.frombytes("L" if channels == 1 else "RGB", image[::-1], pixels)
            for size in sizes:
                for how in "crop", "stretch":
                    if size == (224, 224) and image[1] == 8:
                        continue
                    out = resized(picture, size, how).tobytes()
                    yield {"image": image, "seed": number, "channels": channels, "size": size, "resize": how,
                           "sha256": hashlib.sha256(out).hexdigest()}


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue().hex()


def smooth(mode, height, width):
    """An image without noise, which JPEG compresses well."""
    bands = len(mode)
    pixels = bytes(
        int(127 + 120 * ((x * (band + 1)) % width / width - (y * (3 - band)) % height / height))
        for y in range(height) for x in range(width) for band in range(bands)
    )
    return Image.frombytes(mode, (width, height), pixels)


def png_cases():
    rgb = Image.frombytes("RGB", (9, 6), noise(1, 6, 9, 3))
    yield "1", rgb.convert("1"), {}
    yield "L", rgb.convert("L"), {}
    yield "LA", Image.frombytes("LA", (9, 6), noise(2, 6, 9, 2)), {}
    yield "RGB", rgb, {}
    yield "RGBA", Image.frombytes("RGBA", (9, 6), noise(3, 6, 9, 4)), {}
    for colours in 2, 4, 16, 256:
        yield f"P{colours}", rgb.quantize(colours), {}
    yield "P and transparency", rgb.quantize(16), {"transparency": 3}
    yield "RGB and transparency", rgb, {"transparency": (0, 0, 0)}
    yield "L and transparency", rgb.convert("L"), {"transparency": 7}


def jpeg_cases():
    for subsampling in 0, 1, 2:
        for progressive in False, True:
            options = {"subsampling": subsampling, "progressive": progressive, "quality": 90}
            yield f"4:{[4, 2, 2][subsampling]}:{[4, 2, 0][subsampling]}, progressive: {progressive}", "RGB", options
    yield "grey", "L", {"quality": 90}
    yield "grey, progressive", "L", {"quality": 90, "progressive": True}
    yield "CMYK", "CMYK", {"quality": 90}
    yield "restarts", "RGB", {"quality": 90, "restart_marker_blocks": 1}
    yield "optimized", "RGB", {"quality": 90, "optimize": True}


def decoded(file):
    image = Image.open(io.BytesIO(bytes.fromhex(file)))
    return {"rgb": image.convert("RGB").tobytes().hex(), "grey": image.convert("L").tobytes().hex()}


def main():
    pngs = [{"what": what, "file": encoded(image, format="PNG", **options)} for what, image, options in png_cases()]
    jpegs = [
        {"what": what, "height": 21, "width": 35, "file": encoded(smooth(mode, 21, 35), format="JPEG", **options)}
        for what, mode, options in jpeg_cases()
    ]
    content = {
        "made_by": {"python": platform.python_version(), "pillow": PIL.__version__,
                    "libjpeg-turbo": features.version("libjpeg_turbo")},
        "resized": list(resize_cases()),
        "decoded": [png | {"height": 6, "width": 9} | decoded(png["file"]) for png in pngs],
        "jpegs": [jpeg | decoded(jpeg["file"]) for jpeg in jpegs],
    }
    lines = [f' "{key}": [\n' + ",\n".join("  " + json.dumps(entry) for entry in value) + "\n ]" if key != "made_by"
             else f' "{key}": {json.dumps(value)}' for key, value in content.items()]
    pathlib.Path(__file__).with_name("images.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()

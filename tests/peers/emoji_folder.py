#!/usr/bin/env python3
"""Turn a package of emoji pictures into a folder of images for jobs/emoji-folder.toml.

    npm pack emoji-datasource-twitter@16.0.0
    python3 tests/peers/emoji_folder.py emoji-datasource-twitter-16.0.0.tgz data/emoji

Each of the 9 categories becomes a class. Of ten pictures of a category, seven go to `train`, one to `validation` and two to
`test`. Variants of skin tone are left out: they would be nearly the same picture in different sets. The package is under the MIT
licence; the pictures are Twitter's, under CC BY 4.0.
"""

import argparse
import json
import pathlib
import tarfile

SETS = ["train"] * 7 + ["validation"] + ["test"] * 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="the archive that `npm pack` wrote")
    parser.add_argument("directory", type=pathlib.Path, help="the folder to make")
    arguments = parser.parse_args()
    with tarfile.open(arguments.package) as package:
        emoji = json.load(package.extractfile("package/emoji.json"))
        classes = {}
        for entry in emoji:
            if entry["has_img_twitter"] and entry["category"] != "Component":
                classes.setdefault(entry["category"], []).append(entry["image"])
        for name, images in sorted(classes.items()):
            for number, image in enumerate(sorted(images)):
                to = arguments.directory / SETS[number % 10] / name / image
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(package.extractfile(f"package/img/twitter/64/{image}").read())
    print(f"{arguments.directory}: {sum(map(len, classes.values()))} images in {len(classes)} classes")


main()

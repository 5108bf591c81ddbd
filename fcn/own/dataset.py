"""The data of train.py: two folders of the user's as a dataset.json."""

import argparse
import os
from typing import Optional

from bootstrap import shown
from data import folder
from data.preparing.guess import Guess, guess, write_palette
from fcn.catalog.description import Description, read_description, write_description
from fcn.errors import StartError
from fcn.palette import with_colours
from segdata import DataError
from segdata.folders import pair_up
from segdata.splits import read_lines

__all__ = ["PALETTE", "prepare", "write"]

#: Of masks in colours, in the folder of the data: which colour is which class.
PALETTE = "palette.txt"


def prepare(args: argparse.Namespace, base: str, name: str) -> Optional[Description]:
    """Check and convert all images and masks into `base`, and print what was found.

    None, once the problems are printed, where it cannot be trained on. StartError for a file of
    names that cannot be used.
    """
    found = None
    if not args.rgb:
        found = _look(args)
        print(f"masks:     {found.text}", flush=True)
        if args.ignore:
            found = _without(found, args.ignore)
    names = _names(args, found)
    rgb = args.rgb or ""
    if found is not None and found.kind == "colours":
        rgb = os.path.join(base, PALETTE)
        write_palette(rgb, found, names or list(found.names or ()))
    report = folder.prepare(
        folder.Options(
            images=args.images,
            masks=args.masks,
            out=base,
            name=name,
            names=names,
            val_share=args.val_share,
            rgb=rgb,
            values=list(found.values) if found and found.kind == "values" else None,
            ignore=None if rgb else args.ignore,
            suffix=args.mask_suffix,
            skip_bad=args.skip_bad,
            longest=args.longest,
        )
    )
    if report.print("PROBLEM"):
        return None
    description = read_description(os.path.join(base, folder.FILE))
    if found is not None and found.palette:
        shown_as = [*found.palette][: len(description.CLASSES)]
        description = description._replace(PALETTE=with_colours(shown_as))
    return description


def _look(args: argparse.Namespace) -> Guess:
    """What the masks that have an image mean."""
    try:
        pairs = pair_up(args.images, args.masks, args.mask_suffix).pairs
        masks = [os.path.join(args.masks, mask) for _, mask in pairs]
        return guess(masks) if masks else Guess("numbers", text="none has an image of its name")
    except DataError as error:
        raise StartError(str(error)) from error
    except ValueError as error:
        raise StartError(f"{shown(args.masks)}: {error}") from error


def _without(found: Guess, ignored: list[int]) -> Guess:
    """The finding without values that do not count."""
    if found.kind == "colours":
        raise StartError("--ignore is for grey values; of colours --rgb FILE names the void ones")
    if found.kind == "numbers":
        return found
    kept = [i for i, value in enumerate(found.values) if value not in ignored]
    names = tuple(found.names[i] for i in kept) if found.names else None
    return found._replace(values=tuple(found.values[i] for i in kept), names=names)


def _names(args: argparse.Namespace, found: Optional[Guess]) -> Optional[list[str]]:
    """The names of the classes, as far as they are known before the masks are converted."""
    usual = list(found.names) if found and found.names else None
    if not args.classes:
        return usual
    try:
        names = read_lines(args.classes)
    except (DataError, OSError) as error:
        raise StartError(f"--classes {shown(args.classes)}: {error}") from error
    if usual and len(names) != len(usual):
        raise StartError(
            f"--classes {shown(args.classes)} has {len(names)} names, the masks have {len(usual)} "
            f"classes: {', '.join(usual)}"
        )
    return names


def write(base: str, description: Description) -> None:
    """Write the dataset.json as the net is to be trained on it."""
    write_description(os.path.join(base, folder.FILE), description)

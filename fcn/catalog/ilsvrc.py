"""Which of ILSVRC's thousand classes a dataset's classes consist of, as numbers from 0.

In the order of the published classifiers: synsets sorted by their WordNet identifier. Classes that
ILSVRC has nothing for are left out: person above all, whom it never asked for.
"""

from __future__ import annotations

__all__ = ["CONSISTS_OF"]


def _to(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


_VOC: dict[str, tuple[int, ...]] = {
    "aeroplane": (404, 895),  # airliner, warplane
    "bicycle": (444, 671),  # tandem, mountain bike
    "bird": _to(7, 24) + _to(80, 100) + _to(127, 146),
    # catamaran, container ship, fireboat, gondola, lifeboat, liner, pirate ship, schooner,
    # speedboat, submarine, trimaran, yawl; canoe
    "boat": (472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 833, 871, 914),
    "bottle": (440, 720, 737, 898, 907),  # of beer, pills, lemonade, water, wine
    "bus": (654, 779, 874),  # minibus, school bus, trolleybus
    # ambulance, beach wagon, cab, convertible, jeep, limousine, minivan, Model T, pickup, racer,
    # sports car
    "car": (407, 436, 468, 511, 609, 627, 656, 661, 717, 751, 817),
    "cat": _to(281, 285),  # tabby to Egyptian cat
    "chair": (423, 559, 765, 857),  # barber's, folding, rocking; throne
    "cow": (345, 346, 347),  # ox, water buffalo, bison
    "diningtable": (532,),
    "dog": _to(151, 268),
    "horse": (339,),  # sorrel
    "motorbike": (665, 670),  # moped, scooter
    "pottedplant": (738,),  # flowerpot
    "sheep": (348, 349),  # ram, bighorn
    "sofa": (831,),  # studio couch
    "train": (466, 547, 705, 820),  # bullet train, locomotives, passenger car
    "tvmonitor": (527, 664, 782, 851),  # desktop computer, monitor, screen, television
}

#: Dataset → {class: numbers}.
CONSISTS_OF = {"voc": _VOC}

"""curves.png of a run: the loss, the measures on val, and the IU of each class."""

from typing import Any

from fcn.plots import COLOURS, Curve, Panel, draw, smooth

__all__ = ["draw_curves"]

#: A row of train.csv is a mean of 20 steps; of many rows so many lie in a window that is averaged.
WINDOWS = 40


def draw_curves(
    path: str, steps: list[dict[str, Any]], scores: list[dict[str, Any]], names: list[str]
) -> None:
    """Draw rows of train.csv and results (JSON lines) into a PNG; nothing where there are none."""
    panels, end = [], max([r["step"] for r in steps] + [r["iter"] for r in scores], default=1)
    across = (0, end)
    if steps:
        xs, losses = [r["step"] for r in steps], [r["loss_per_pixel"] for r in steps]
        curve = Curve("loss", xs, smooth(losses, 1 + len(losses) // WINDOWS))
        panels.append(Panel("training loss", "step", "per pixel", [curve], None, across))
    if scores:
        panels.append(
            Panel(
                "val",
                "step",
                "",
                [
                    _curve("mean IU", scores, [r["mean_iu"] for r in scores]),
                    _curve("pixel accuracy", scores, [r["overall_accuracy"] for r in scores]),
                ],
                (0, 1),
                across,
            )
        )
        if len(names) <= len(COLOURS):
            curves = [_curve(n, scores, [r["iu"][i] for r in scores]) for i, n in enumerate(names)]
            panels.append(Panel("IU of each class", "step", "", curves, (0, 1), across))
    if panels:
        draw(path, panels)


def _curve(label: str, scores: list[dict[str, Any]], values: list[Any]) -> Curve:
    known = [(r["iter"], value) for r, value in zip(scores, values) if value is not None]
    return Curve(label, [x for x, _ in known], [y for _, y in known], markers=True)

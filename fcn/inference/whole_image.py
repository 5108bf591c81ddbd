"""What models that take one whole image at a time share: no tiles, no batches."""

from __future__ import annotations

from fcn.inference.tiles import Span, Tile

__all__ = ["WholeImage"]


class WholeImage:
    """`plan` and `at_once` as those of fcn.inference.model.Model; whatever is free, one image."""

    def plan(
        self,
        height: int,
        width: int,
        gpu: int | None = None,
        limit: int | None = None,
        beside: int = 0,
    ) -> list[Tile]:
        """The whole image, always."""
        return [Tile(Span(0, height, 0, height), Span(0, width, 0, width))]

    def at_once(
        self,
        height: int,
        width: int,
        most: int,
        gpu: int | None = None,
        limit: int | None = None,
        beside: int = 0,
    ) -> int:
        """One image, always."""
        return 1

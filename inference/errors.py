"""The one exception of inference."""

__all__ = ["InferenceError"]


class InferenceError(RuntimeError):
    """Something that is missing or does not fit; the message says what to do."""

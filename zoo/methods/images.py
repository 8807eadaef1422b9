"""Images and arrays as sequences of features, for models that read them row by row.

Legend: N sequences, T time steps (rows of an image), D features (pixels of a row).
"""

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.methods.arrays import Array

if TYPE_CHECKING:
    from PIL import Image


def read(path: str) -> "Image.Image":
    """Reads an image file.

    Raises:
        ValueError: If the file is not found, or is not an image.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                return image.copy()
    except FileNotFoundError:
        raise ValueError(f"{path}: file not found") from None
    except Exception as error:  # a damaged file makes Pillow's many readers raise anything
        raise ValueError(f"{path}: can't be read as an image") from error


def features(values: Any, num_steps: int | None, input_size: int) -> Array:
    """Converts images, arrays or lists to sequences of features.

    Args:
        values: A PIL image, an array or nested lists (T, D), a list of these, or an array (N, T, D).
            Integers from 0 to 255 are divided by 255. Other numbers stay as they are.
        num_steps: T that the model takes. None takes any.
        input_size: D.

    Returns:
        Features (N, T, D), float32.

    Raises:
        ValueError: If an image does not have T x D grey pixels, or if an array has another shape or
            a number that is not finite.
    """
    if is_image(values):
        values = [values]
    if isinstance(values, list | tuple) and any(map(is_image, values)):
        values = np.stack([_pixels(value, num_steps, input_size) for value in values])
    try:
        array = np.asarray(values)
        whole = np.issubdtype(array.dtype, np.integer)
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"expected numbers of shape (N, T, {input_size}), or images") from None
    if whole and array.size:
        if array.min() < 0 or array.max() > 255:
            raise ValueError(f"got integers from {array.min():g} to {array.max():g}, expected 0 to 255")
        array = array / 255
    array = array[None] if array.ndim == 2 else array
    if (
        array.ndim != 3
        or array.shape[2] != input_size
        or array.shape[1] != (num_steps or array.shape[1])
        or not array.size
    ):
        raise ValueError(f"got shape {array.shape}, expected (N, {num_steps or 'T'}, {input_size})")
    with np.errstate(over="ignore"):  # refused here
        found: Array = array.astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("got a number that is not finite, or too large")
    return found


def is_image(value: Any) -> bool:
    """Returns whether a value is an image of Pillow, which is not imported for it."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def _pixels(image: Any, num_steps: int | None, input_size: int) -> Any:
    """Returns the pixels of an image (T, D), uint8."""
    if not is_image(image):
        raise ValueError(f"expected only images in the list, got {type(image).__name__}")
    width, height = image.size
    if image.mode not in ("1", "L") or width != input_size or height != (num_steps or height):
        raise ValueError(
            f"got an image of {width} x {height} pixels in mode {image.mode}, expected {input_size} x "
            f"{num_steps or 'any'} grey pixels (mode L), white on black"
        )
    return np.asarray(image.convert("L"))

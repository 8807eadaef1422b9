"""Checks of the arguments of datamodules."""


def check_seed(name: str, seed: int) -> None:
    """Raises ValueError if a seed is negative, or too large for NumPy."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"{name}: got {seed}, expected at least 0, and less than 2**32")


def check_sizes(**sizes: int | None) -> None:
    """Raises ValueError if a size is below 1. None means that there is no limit."""
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name}: got {size}, expected at least 1")


def check_predict_inputs(inputs: list[str]) -> None:
    """Raises ValueError if there is no input, or if one is empty."""
    if not inputs or not all(inputs):
        raise ValueError(f"predict_inputs: got {inputs}, expected one or more texts, none of them empty")


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Raises ValueError unless both are at least 0 and their sum is below 1, or one of them is 1."""
    whole = (val_fraction, test_fraction).count(1) == 1 and max(val_fraction, test_fraction) == 1
    if min(val_fraction, test_fraction) < 0 or (val_fraction + test_fraction >= 1 and not whole):
        raise ValueError(
            f"val_fraction, test_fraction: got {val_fraction} and {test_fraction}, "
            "expected fractions of at least 0 with a sum below 1, or one of them 1"
        )

"""Baselines for labelled sequences.

Legend: T time steps, D features.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_TEXTS = 50_000  # of the training part; every n-th of more
NGRAMS = (1, 4)  # characters


def text_baselines(
    texts: Sequence[str], labels: Sequence[str], other_texts: Sequence[str], other_labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Returns what simple classifiers reach.

    - `majority`: the most common class.
    - `naive Bayes`: multinomial, over counts of character n-grams of 1 to 4 characters (scikit-learn). It
      learns from 50,000 texts at most.

    Args:
        texts: The training texts.
        labels: Their classes.
        other_texts: The texts to classify.
        other_labels: Their classes.

    Returns:
        Name -> `accuracy` and `macro_f1` -> value.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    step = -(-len(texts) // MOST_TEXTS)
    counts = CountVectorizer(analyzer="char", ngram_range=NGRAMS, lowercase=False)
    model = MultinomialNB().fit(counts.fit_transform(texts[::step]), labels[::step])
    found = model.predict(counts.transform(other_texts)).tolist()
    return _beside_majority("naive Bayes", found, labels, other_labels)


def number_baselines(
    sequences: Sequence[NDArray[Any]],
    labels: Sequence[str],
    others: Sequence[NDArray[Any]],
    other_labels: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Returns what simple classifiers reach.

    - `majority`: the most common class.
    - `logistic regression`: on `summary` of each sequence, standardized (scikit-learn).

    Args:
        sequences: The training sequences, each (T, D).
        labels: Their classes.
        others: The sequences to classify.
        other_labels: Their classes.

    Returns:
        Name -> `accuracy` and `macro_f1` -> value.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(set(labels)) < 2:
        return _beside_majority("majority", [labels[0]] * len(other_labels), labels, other_labels)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    model.fit([summary(steps) for steps in sequences], labels)
    found = model.predict([summary(steps) for steps in others]).tolist()
    return _beside_majority("logistic regression", found, labels, other_labels)


def summary(steps: NDArray[Any]) -> NDArray[np.float64]:
    """Returns mean, standard deviation, minimum, maximum, first and last value of each column of a sequence (T, D).

    The last number is its length.
    """
    steps = steps.astype(np.float64)
    parts = (steps.mean(0), steps.std(0), steps.min(0), steps.max(0), steps[0], steps[-1], [len(steps)])
    return np.concatenate(parts)


def _beside_majority(
    name: str, found: Sequence[str], labels: Sequence[str], other_labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Returns the scores of the most common class, and of a classifier's guesses."""
    ((common, _),) = Counter(labels).most_common(1)
    guesses = {"majority": [common] * len(other_labels), name: found}
    return {name: _scores(guess, other_labels) for name, guess in guesses.items()}


def _scores(guesses: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    macro = f1_score(labels, guesses, average="macro", zero_division=0.0)
    return {"accuracy": float(accuracy_score(labels, guesses)), "macro_f1": float(macro)}

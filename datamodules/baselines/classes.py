"""Baselines for labelled texts."""

from collections import Counter
from collections.abc import Sequence

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
    ((common, _),) = Counter(labels).most_common(1)
    guesses = {
        "majority": [common] * len(other_labels),
        "naive Bayes": model.predict(counts.transform(other_texts)).tolist(),
    }
    return {name: _scores(found, other_labels) for name, found in guesses.items()}


def _scores(guesses: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    macro = f1_score(labels, guesses, average="macro", zero_division=0.0)
    return {"accuracy": float(accuracy_score(labels, guesses)), "macro_f1": float(macro)}

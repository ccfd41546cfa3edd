"""Computes LexRank anew with sumy, from the same tokens, and compares the scores and the chosen sentences.

python3 -m pip install sumy numpy
cargo run -p synod-documents --example lexrank_scores | python3 tests/lexrank_reader.py
"""

import json
import sys

from sumy.summarizers.lex_rank import LexRankSummarizer

DOCUMENTS_MIN = 20
DIFFERENCE_MAX = 1e-9


class Sentence:
    """What sumy wants of a sentence."""

    def __init__(self, words):
        self.words = words


class Document:
    """What sumy wants of a document."""

    def __init__(self, sentences):
        self.sentences = [Sentence(words) for words in sentences]


def compare(document):
    sumy = LexRankSummarizer()
    sumy.epsilon, sumy.threshold = document["epsilon"], document["threshold"]
    tokens = document["sentences"]
    frequencies, rarities = sumy._compute_tf(tokens), sumy._compute_idf(tokens)
    matrix = sumy._create_matrix(tokens, sumy.threshold, frequencies, rarities)
    theirs = sumy.power_method(matrix, sumy.epsilon)
    theirs = theirs / theirs.sum()
    ours = document["scores"]
    worst = max(abs(a - b) for a, b in zip(theirs, ours, strict=True))
    assert worst <= DIFFERENCE_MAX, f"{document['name']}: a score differs by {worst}"
    whole = Document(tokens)
    chosen = sumy(whole, document["count"])
    chosen = {at for at, sentence in enumerate(whole.sentences) if any(sentence is one for one in chosen)}
    # rounding may part what is equal: then sumy chooses either
    least = min(theirs[at] for at in chosen)
    other = chosen.symmetric_difference(document["chosen"])
    assert len(chosen) == len(document["chosen"]) and all(abs(theirs[at] - least) <= DIFFERENCE_MAX for at in other), \
        f"{document['name']}: sumy chooses {sorted(chosen)}, not {document['chosen']}"
    return worst


documents = json.load(sys.stdin)
assert len(documents) >= DOCUMENTS_MIN, f"{len(documents)} documents, fewer than {DOCUMENTS_MIN}"
differences = [compare(document) for document in documents]
print(f"sumy agrees on {len(documents)} documents; the largest difference of a score is {max(differences):.1e}")

"""A recurrent classifier of token sequences: embedding, GRU, the state after the last word, linear head.

Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP 2014;
so are the classifiers of text of Hendrycks, Mazeika & Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR
2019 (two layers of 128 there).

    h_t = GRU(e_t, h_{t-1}),   f = h_T,   z = W f + b              T: place of the last word, before what is padded
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oodbench.contract import EMBEDDINGS, FEATURES, HEAD, LAYERS, LOGITS, Head, Output
from oodbench.spaces import Tokens

NONE: Mapping[Output, Tensor] = MappingProxyType({})


class GruClassifier(nn.Module):
    """A GRU over the embeddings of the tokens, under a linear head.

    Args:
        space: What it reads.
        classes: How many it tells apart.
        width: Of the state.
        embedding: Of an embedding; as wide as the state unless given.
        layers: GRUs on top of each other; the last one's state is classified.
        dropout: Probability of dropping a unit of the embeddings and of the features.

    Example:
        >>> net = GruClassifier(Tokens(length=40, vocabulary=4000), classes=6, width=128)
    """

    passes = 1
    entries: frozenset[Output] = frozenset({EMBEDDINGS, FEATURES})

    def __init__(
        self,
        space: Tokens,
        classes: int,
        *,
        width: int,
        embedding: int | None = None,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pad = space.pad
        self.embedding = nn.Embedding(space.vocabulary, embedding or width, padding_idx=space.pad)
        self.gru = nn.GRU(embedding or width, width, num_layers=layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, ids: Int[Tensor, "n t"]) -> Float[Tensor, "n C"]:
        """Return logits."""
        logits: Tensor = self.outputs(ids, frozenset({LOGITS}))[LOGITS]
        return logits

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The head."""
        return {HEAD: Head(self.head.weight, self.head.bias)}

    def outputs(
        self, ids: Int[Tensor, "n t"], wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for token ids after one forward pass, or what is left of one after replaced activations."""
        if FEATURES in replacing and not wanted & {EMBEDDINGS, LAYERS}:
            return self._above(replacing[FEATURES])
        words = ids != self.pad
        embeddings = replacing.get(EMBEDDINGS, self.embedding(ids))
        states, _ = self.gru(self.dropout(embeddings))
        last = words.sum(dim=1).clamp(min=1) - 1
        features = replacing.get(FEATURES, states[torch.arange(len(ids), device=ids.device), last])
        layers = (mean_of_words(embeddings, words), features)
        return {EMBEDDINGS: embeddings, LAYERS: layers, **self._above(features)}

    def _above(self, features: Float[Tensor, "n F"]) -> dict[Output, Any]:
        return {FEATURES: features, LOGITS: self.head(self.dropout(features))}


def mean_of_words(vectors: Float[Tensor, "n t E"], words: Tensor) -> Float[Tensor, "n E"]:
    """Return the mean over the places that hold a word [n t, bool]; zero for a text without any."""
    weights = words.unsqueeze(-1).to(vectors.dtype)
    return (vectors * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)

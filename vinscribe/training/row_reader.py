"""The row reader: 17 cells that one hand wrote, read as one.

How a hand makes its 7s tells how it makes its 1s, and a 5 beside a 5 is no S. For each cell the row reader is given
what our network makes of its looks (see `vinscribe.views`), the embeddings and the log-probabilities; two layers of
attention over the places of the row put it together, and what comes out is added to the mean log-probabilities of the
looks. It knows nothing of how VINs are built: it learns from rows in random order.

Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017; P. Shaw et al., "Self-attention with relative
position representations", NAACL 2018 (a bias for each distance).
"""

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vinscribe.charset import NUM_OUTPUTS
from vinscribe.classifier import mean_outputs, with_illegible
from vinscribe.training.network import EMBEDDING
from vinscribe.training.validation import as_float
from vinscribe.views import NUM_VIEWS
from vinscribe.vin import VIN_LENGTH

WIDTH, LAYERS, HEADS = 96, 2, 4
_LEAST_LOG = -12.0  # log-probabilities below it say no more
_LOG_SCALE = 0.25


class RowReader(nn.Module):
    """Embeddings (R, 17, V, E) and log-probabilities (R, 17, V, 34) of a row's looks -> logits (R, 17, 34).

    Untrained it gives the mean log-probabilities of the looks.

    Args:
        dropout: of what enters.
        attention: whether a cell sees the others; without it, to compare with.
    """

    def __init__(self, dropout: float = 0.1, attention: bool = True) -> None:
        super().__init__()
        self.enter = nn.Linear(NUM_VIEWS * (EMBEDDING + NUM_OUTPUTS), WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(attention) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.leave = nn.Linear(WIDTH, NUM_OUTPUTS)
        self.sharpness = nn.Parameter(torch.ones(1))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, embeddings: Tensor, log_probs: Tensor) -> Tensor:
        """Of a batch of rows."""
        seen = torch.cat([embeddings, log_probs.clamp(min=_LEAST_LOG) * _LOG_SCALE], 3).flatten(2)
        values = self.dropout(self.enter(seen))
        for block in self.blocks:
            values = block(values)
        logits: Tensor = log_probs.mean(2) * self.sharpness + self.leave(self.norm(values))
        return logits


def for_reading(rows: RowReader, temperature: float) -> RowReader:
    """A copy in eval mode whose logits are divided by a temperature; every weight is a number of half precision."""
    scaled = copy.deepcopy(rows).eval()
    with torch.no_grad():
        for values in (scaled.leave.weight, scaled.leave.bias, scaled.sharpness):
            values.div_(temperature)
        for values in scaled.parameters():
            values.copy_(values.half().float())
    return scaled


class _Block(nn.Module):
    """Attention over the places, then two dense layers for each of them: (R, 17, WIDTH) -> the same."""

    def __init__(self, attention: bool) -> None:
        super().__init__()
        self.attention = attention
        self.before_attention, self.before_dense = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.ask = nn.Linear(WIDTH, 3 * WIDTH)
        self.answer = nn.Linear(WIDTH, WIDTH)
        self.dense = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH))
        self.by_distance = nn.Parameter(torch.zeros(HEADS, 2 * VIN_LENGTH - 1))
        places = torch.arange(VIN_LENGTH)
        self.distances: Tensor
        self.register_buffer("distances", places[None] - places[:, None] + VIN_LENGTH - 1, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """Of a batch of rows."""
        if self.attention:
            values = values + self._of_others(values)
        result: Tensor = values + self.dense(self.before_dense(values))
        return result

    def _of_others(self, values: Tensor) -> Tensor:
        asked = self.ask(self.before_attention(values)).unflatten(2, (3, HEADS, WIDTH // HEADS))
        query, key, value = asked.permute(2, 0, 3, 1, 4).unbind(0)
        weights = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS) + self.by_distance[:, self.distances]
        found = (weights.softmax(3) @ value).transpose(1, 2).flatten(2)
        return self.answer(found)  # type: ignore[no-any-return]


class ReadingNetwork(nn.Module):
    """What a model file computes: cells (N, 1, S, S) -> probabilities (N, 34), and of whole rows (R, 17, 34).

    The cells of a row come together, look after look of its first cell, then of its second. N need not be a multiple of
    17 times the number of looks: R is as many rows as there are whole ones.

    Args:
        network: gives logits, its last layer from the embedding; see `vinscribe.training.export.calibrated_logits`.
        rows: the row reader.
    """

    def __init__(self, network: nn.Sequential, rows: RowReader) -> None:
        super().__init__()
        self.trunk, self.head, self.rows = network[:-1], network[-1], rows

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Of a batch of cells."""
        embeddings = self.trunk(cells)
        logits = self.head(embeddings)
        row = VIN_LENGTH * NUM_VIEWS
        whole = cells.shape[0] // row * row
        shape = (-1, VIN_LENGTH, NUM_VIEWS)
        of_rows = self.rows(
            embeddings[:whole].reshape(*shape, EMBEDDING), logits[:whole].log_softmax(1).reshape(*shape, NUM_OUTPUTS)
        )
        return logits.softmax(1), of_rows.softmax(2)


def reader_of(network: nn.Sequential, rows: RowReader | None) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What `vinscribe.classifier.Classifier.rows` is of a model with these weights: (R, 17, V, S, S) -> (R, 17, 34).

    Args:
        network: as for `ReadingNetwork`.
        rows: None for the mean of the looks.
    """
    reading = ReadingNetwork(network, rows or RowReader()).eval()

    def read(cells: NDArray[np.uint8]) -> NDArray[np.float32]:
        flat = cells.reshape(-1, *cells.shape[3:])
        with torch.inference_mode():
            probs, of_rows = (found.numpy() for found in reading(as_float(torch.from_numpy(flat)[:, None])))
        if rows is None:
            return mean_outputs(with_illegible(probs, flat).reshape(*cells.shape[:3], -1))
        return with_illegible(of_rows.reshape(-1, NUM_OUTPUTS), flat[::NUM_VIEWS]).reshape(of_rows.shape)

    return read

"""row_reader.py: the cells of a row are read in the light of each other."""

import numpy as np
import pytest
import torch

from vinscribe.charset import ILLEGIBLE, NUM_OUTPUTS
from vinscribe.training.network import EMBEDDING, fused, vinscribe_network
from vinscribe.training.row_reader import ReadingNetwork, RowReader, for_reading, reader_of
from vinscribe.views import NUM_VIEWS
from vinscribe.vin import VIN_LENGTH

LOOKS = VIN_LENGTH * NUM_VIEWS


def seen(rows: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.rand(rows, VIN_LENGTH, NUM_VIEWS, EMBEDDING, generator=generator)
    logits = torch.randn(rows, VIN_LENGTH, NUM_VIEWS, NUM_OUTPUTS, generator=generator)
    return embeddings, logits.log_softmax(3)


def trained(attention: bool = True) -> RowReader:
    """With weights of which none is what it began with."""
    torch.manual_seed(5)
    reader = RowReader(attention=attention).eval()
    with torch.no_grad():
        for values in reader.parameters():
            values.add_(torch.randn_like(values) * 0.1)
    return reader


def test_untrained_it_gives_the_mean_of_the_looks() -> None:
    embeddings, log_probs = seen()
    torch.testing.assert_close(RowReader().eval()(embeddings, log_probs), log_probs.mean(2))


@pytest.mark.parametrize("attention", [True, False])
def test_a_cell_matters_to_the_others_by_attention_alone(attention: bool) -> None:
    reader = trained(attention)
    embeddings, log_probs = seen()
    changed = embeddings.clone()
    changed[:, 4] = torch.rand(3, NUM_VIEWS, EMBEDDING)
    with torch.inference_mode():
        difference = (reader(changed, log_probs) - reader(embeddings, log_probs)).abs().amax(2)
    assert (difference[:, 4] > 1e-3).all()
    others = np.delete(difference.numpy(), 4, axis=1)
    assert (others > 1e-5).all() if attention else (others == 0).all()


def test_rows_do_not_matter_to_each_other() -> None:
    reader = trained()
    embeddings, log_probs = seen(4)
    with torch.inference_mode():
        together = reader(embeddings, log_probs)
        single = torch.cat([reader(embeddings[row : row + 1], log_probs[row : row + 1]) for row in range(4)])
    torch.testing.assert_close(together, single, rtol=1e-5, atol=1e-5)


def test_what_is_not_whole_is_no_row() -> None:
    torch.manual_seed(1)
    reading = ReadingNetwork(fused(vinscribe_network()), trained()).eval()
    cells = torch.rand(2 * LOOKS + 5, 1, 40, 40)
    with torch.inference_mode():
        probs, rows = reading(cells)
        first_row = reading(cells[:LOOKS])[1]
        none = reading(cells[: LOOKS - 1])[1]
    assert probs.shape == (2 * LOOKS + 5, NUM_OUTPUTS)
    assert rows.shape == (2, VIN_LENGTH, NUM_OUTPUTS)
    assert none.shape == (0, VIN_LENGTH, NUM_OUTPUTS)
    torch.testing.assert_close(rows[:1], first_row, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(rows.sum(2), torch.ones(2, VIN_LENGTH))


def test_the_temperature_divides_the_logits_and_weights_are_halves() -> None:
    reader, (embeddings, log_probs) = trained(), seen()
    scaled = for_reading(reader, 2.0)
    with torch.inference_mode():
        expected, found = reader(embeddings, log_probs) / 2, scaled(embeddings, log_probs)
    assert (expected - found).abs().max() < 0.02
    for values in scaled.parameters():
        assert torch.equal(values, values.half().float())
    assert not torch.equal(reader.leave.weight, scaled.leave.weight)


def test_a_blank_cell_is_never_legible() -> None:
    torch.manual_seed(2)
    network = fused(vinscribe_network())
    cells = np.random.default_rng(0).integers(0, 255, (2, VIN_LENGTH, NUM_VIEWS, 40, 40), dtype=np.uint8)
    cells[1, 3] = 0
    for rows in (None, trained()):
        probs = reader_of(network, rows)(cells)
        assert probs.shape == (2, VIN_LENGTH, NUM_OUTPUTS)
        np.testing.assert_allclose(probs.sum(2), 1, atol=1e-5)
        assert probs[1, 3, ILLEGIBLE] > 0.999
        assert probs[0, 3, ILLEGIBLE] < 0.9

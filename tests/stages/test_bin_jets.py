"""The histogram of each group of batches, against numpy and scipy."""

import h5py
import numpy as np
from batches import at, cleaned, write_batch
from scipy import stats
from stage_batches import BIN_SETTINGS, BINS, EDGES, SHAPE

from jetmill.balancing.binning import axes_of
from jetmill.balancing.selection import read_bins
from jetmill.stages.bin_jets import bin_jets


def test_cells_and_counts(stages):
    expected = {}
    edges = [np.arange(n + 1) - 0.5 for n in (3, 4, *SHAPE)]
    for number, listed in enumerate(stages.sources()):
        with listed.open() as batch:
            eta, pt = batch.read(at("variables/eta")).astype(float), batch.read(at("variables/pt")).astype(float)
            split, label = batch.split_codes(), batch.read(at("label"))
            bin_index = read_bins(batch, axes_of(BINS), slice(0, len(split)))
        assert bin_index.dtype == np.int32
        bins = stats.binned_statistic_dd([eta, pt], None, "count", bins=EDGES, expand_binnumbers=True).binnumber - 1
        np.testing.assert_array_equal(np.unravel_index(bin_index, SHAPE), bins)
        group = expected.setdefault(min(number, 1), {})
        group[listed.sample] = (
            group.get(listed.sample, 0) + np.histogramdd(np.stack([split, label, *bins], axis=1), edges)[0]
        )
    assert [set(group) for group in expected.values()][-1] == {"tt", "qcd"}
    for path, group in zip(stages.bins, expected.values(), strict=True):
        with h5py.File(path) as file:
            assert set(file) == {"counts", "outside"}
            assert set(file["outside"]) == set(group)
            assert not any(table[()].any() for table in file["outside"].values())
            assert set(file["counts"]) == set(group)
            for sample, counts in group.items():
                np.testing.assert_array_equal(file["counts"][sample][()], counts)


def test_a_batch_without_jets(tmp_path):
    columns = {"label": np.zeros(0, np.uint8), "variables/eta": np.zeros(0), "variables/pt": np.zeros(0)}
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([0, 0, 0])})
    bin_jets([cleaned("tt", tmp_path / "b.h5")], tmp_path / "o.h5", BIN_SETTINGS)
    with h5py.File(tmp_path / "o.h5") as file:
        assert file["counts/tt"].shape == (3, 4, *SHAPE)
        assert not file["counts/tt"][()].any()

"""The column store: one HDF5 file per batch of cleaned jets, one dataset per column.

Rows are grouped by split (train, val, test) and inside a split sorted by a random 64-bit key, so a
range of keys is a fair random sample of the batch that lies in one piece of the file.

| dataset | type | content |
|---|---|---|
| ``key`` | uint64 | the random key of the jet |
| ``label`` | uint8 | its class |
| ``variables/<name>`` | float32 or float64 | NaN where missing |
| ``reference/<name>`` | float32 | outputs of existing taggers, as they came but for their unit |
| ``additional_labels/<name>`` | as in the input | further truth, NaN where infinite; in another unit as the variables |
| ``weights/<name>`` | float32 | factors of weights |
| ``event/<name>`` | integer | identity of the event |
| ``constituents/<collection>/offsets`` | int64 (n_jets + 1,) | where the constituents of each jet start |
| ``constituents/<collection>/variables/<name>`` | float32 or float64 | those of all jets, NaN where missing |
| | as in the input | if integers of 16 bits or less that are never missing; `Batch.read` makes them float32 |
| ``constituents/<collection>/labels/<name>`` | int32 | truth of each constituent |

Attributes: ``splits`` (jets per split), ``class_counts`` (n_splits, n_classes), and as JSON
``cutflow``, ``constituents`` (collection: read, selected, kept), ``inputs`` and ``types`` (of the columns in the input,
see `jetmill.columns.promotion.Types`). All of it has checksums (`jetmill.files.create_hdf5`).
"""

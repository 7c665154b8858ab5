"""The column store: one HDF5 file per batch of cleaned jets, one dataset per column.

Rows come in runs, the jets that fitted into memory together. In each they are grouped by split (train, val, test) or,
if there are folds, by fold, and sorted by a random 64-bit key within each group. A range of keys is therefore a fair
random sample of a group, and lies in one piece of each run. The list of the batches says which groups a split is made
of: its own, or some folds.

| dataset | type | content |
|---|---|---|
| ``key`` | uint64 | random key of the jet |
| ``label`` | uint8 | class of the jet |
| ``variables/<name>`` | float32 or float64 | NaN where missing |
| | as in the input | booleans and integers of 16 bits or less that are never missing; `Batch.read` makes them float32 |
| ``spectators/<name>`` | float32 | values of the input, in the unit of the configuration |
| ``additional_labels/<name>`` | as in the input | NaN where infinite; float if a unit is set |
| ``event_weights/<name>`` | float32 | factors of the event weight |
| ``event/<name>`` | integer | identity of the event |
| ``constituents/<collection>/offsets`` | int64 (n_jets + 1,) | first constituent of each jet |
| ``constituents/<collection>/variables/<name>`` | float32 or float64 | NaN where missing |
| | as in the input | integers of 16 bits or less that are never missing; `Batch.read` makes them float32 |
| ``constituents/<collection>/labels/<name>`` | int32 | label of each constituent |

Attributes: ``runs`` (n_runs, n_groups), the jets in each; ``splits`` (n_groups,), those of all runs; ``class_counts``
(n_groups, n_classes); and as JSON ``cutflow``, ``constituents`` (collection: read, selected, kept), ``inputs`` and
``types`` (of the columns in the input files, see `jetmill.columns.promotion.Types`). Everything is under checksums
(`jetmill.files.create_hdf5`).
"""

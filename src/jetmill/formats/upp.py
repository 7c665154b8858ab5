"""Records under the names of the files of UPP, such as ``pp_output_train.h5``."""

from pathlib import Path

from jetmill.formats.format import Format
from jetmill.splitting import VAL_RESAMPLED, split_of


def write(joined: str | Path, output: str | Path, *, compression: str) -> None:
    """Write the joined file of an output as a complete one, called as UPP calls it, into a directory."""
    import h5py

    from jetmill.files import atomic_write
    from jetmill.formats.files import layout
    from jetmill.formats.files.joining import join
    from jetmill.formats.files.names import names_of

    name = called(Path(output).name)
    with layout.reopen_finished(joined) as file:
        layout.check_parts(joined, file[names_of(file).jets])
    with atomic_write(output, directory=True) as partial:
        join([joined], partial / name, merge=True, compression=compression)
        with h5py.File(partial / name, "r+") as file:
            # It points to no parts.
            for attribute in {"parts", "note"}.intersection(file.attrs):
                del file.attrs[attribute]


def called(output: str) -> str:
    """Return UPP's name of the file of an output."""
    return f"pp_output_{split_of(output) if output == VAL_RESAMPLED else output}.h5"


FORMAT = Format(
    name="upp",
    description="the records of structured in complete files, under UPP's names",
    write=write,
    title="Records under UPP's file names",
    loading="{results}/upp/{output}/pp_output_{output}.h5, with {results}/norm_dict.yaml and class_dict.yaml",
    main=called,
    made_from="structured",
    options=("compression",),
)

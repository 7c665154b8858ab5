"""``jetmill verify``: check a finished run against its manifest."""

from jetmill.verify import arguments, run

__all__ = ["HELP", "NAME", "arguments", "run"]

NAME = "verify"
HELP = "check that the files of a finished run are as its manifest says"

"""The command ``jetmill``: one module per subcommand, found automatically.

A module of a subcommand has ``NAME``, ``HELP`` (one line), ``arguments(parser)``, which adds what it takes, and
``run(options)``, which returns the exit code. An argument with the destination ``passed_on`` gets the options that the
subcommand does not know.
"""

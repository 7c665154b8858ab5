"""``python -m jetmill``: the command where its program is not on the path."""

import sys

from jetmill.cli.main import main

sys.exit(main())

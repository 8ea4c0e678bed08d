"""`python -m groco` is `groco`."""

import sys

from groco.cli import main

sys.exit(main())

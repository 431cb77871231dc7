"""python -m xverse.evaluation: the command xverse-eval."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

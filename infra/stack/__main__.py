"""``python -m infra.stack up|down|status|logs|doctor``: the stack without the front door."""

import sys

from infra.stack.commands import app
from schemas.errors import AegisError

if __name__ == "__main__":
    try:
        app()
    except AegisError as error:
        sys.exit(str(error))

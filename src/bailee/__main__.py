"""`python -m bailee` is `bailee`. The version is printed before anything else is imported; with it,
whether the gateway is compiled.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--version"]:
        from bailee import __version__
        from bailee.compiled import is_compiled

        build = ", gateway compiled" if is_compiled() else ""
        sys.stdout.write(f"bailee {__version__}{build}\n")
        return
    from bailee.cli import main as run

    run()


if __name__ == "__main__":
    main()

"""python -m relaxeq: the command line."""

from relaxeq.cli import main

if __name__ == "__main__":
    main()

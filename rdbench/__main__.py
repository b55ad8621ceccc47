"""``python -m rdbench``, for torchrun and for environments without scripts on their PATH."""

from rdbench.cli.app import main

if __name__ == "__main__":
    main()

"""``python -m mamtra_eval``: the same as the command ``mamtra-eval``."""

from mamtra_eval.cli import main

if __name__ == "__main__":
    main()

"""`python -m interp …` and `torchrun … -m interp train …`."""

from interp.cli import main

if __name__ == "__main__":
    main()

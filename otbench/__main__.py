"""``python -m otbench`` is the command ``otbench``."""

from otbench.cli import main

if __name__ == "__main__":
    main()

"""`python -m stepward` is `stepward`."""

from stepward.cli import main

if __name__ == "__main__":
    main()

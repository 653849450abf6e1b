"""`python -m tfadt`."""

from tfadt.cli.main import main

main()

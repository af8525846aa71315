"""The entry points of the programs that reach Redis: passwords go out of sight before anything slow is imported."""

from cli.concealment import conceal


def eccmgr() -> None:
    """Start the manager."""
    conceal()
    from cli.eccmgr import main

    main()


def eccmgr_ctl() -> None:
    """Start the manager's control program."""
    conceal()
    from cli.eccmgr_ctl import main

    main()


def ecnode() -> None:
    """Start a node."""
    conceal()
    from cli.ecnode import main

    main()

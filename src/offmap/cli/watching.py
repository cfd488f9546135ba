"""Progress of long work, as the console can show it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from offmap.engine.ledger import Watcher


class Watching:
    """Makes the watcher that fits the console, and can stop it.

    Args:
        console: Where progress is shown.
        what: How the results are called.
    """

    def __init__(self, console: "Console", what: str = "readings") -> None:
        self.console, self.what = console, what
        self.watcher: object = None

    def __call__(self, costs: "Mapping[str, float]") -> "Watcher":
        """A watcher of tasks with these estimated seconds, by key."""
        from offmap.engine.progress import Bar, Lines, Silent

        if self.console.quiet:
            return Silent()
        kind = Bar if self.console.is_terminal else Lines
        made = kind(self.console, costs, self.what)
        self.watcher = made
        return made

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if (stop := getattr(self.watcher, "stop", None)) is not None:
            stop()

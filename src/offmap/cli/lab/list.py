"""`offmap lab list`: every claim, and what it costs."""


def list_() -> None:
    """List the claims by subject, with the time that five seeds take at smoke and desk scale."""
    from rich.console import Console

    from offmap.lab.claim import ROOMS, claims
    from offmap.lab.run import SEEDS
    from offmap.report.words import duration

    console = Console()
    for room, title in ROOMS.items():
        console.print(title, style="bold", highlight=False)
        for unit in claims().values():
            if unit.room == room:
                smoke, desk = (
                    duration(SEEDS[scale] * unit.seconds[scale]) for scale in ("smoke", "desk")
                )
                console.print(f"  {unit.name}  ({smoke}, {desk})", highlight=False, markup=False)
                console.print(f"    {unit.says}", highlight=False, markup=False)

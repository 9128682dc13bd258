"""What `taurank proxies` prints without architectures: the proxies there are."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from taurank.trainables.proxies import SETS, Correlation, describe_proxy, list_proxies


def print_proxies(console: Console) -> None:
    """All proxies: direction, needs, what each is, published correlation, source; then the sets."""
    for name in list_proxies():
        proxy = describe_proxy(name)
        better = "higher is better" if proxy.direction == 1 else "lower is better"
        needs = f"needs {', '.join(sorted(proxy.needs))}" if proxy.needs else "needs nothing"
        console.print(Text.assemble((name, "bold"), f"  {better}; {needs}; costs {proxy.passes:g} training steps"))
        for line in (proxy.summary, _published(proxy.published), proxy.source):
            console.print(Padding(Text(line), (0, 0, 0, 4), expand=False))
    console.print()
    for name, members in SETS.items():
        console.print(Text.assemble("set ", (name, "bold"), f": {', '.join(members)}"))


def _published(found: Correlation | None) -> str:
    if found is None:
        return "no published correlation on a common benchmark"
    tau = "" if found.kendall is None else f"tau {found.kendall:.3f}, "
    return f"published: {tau}rho {found.spearman:.3f} ({found.where})"

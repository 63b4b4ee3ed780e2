"""Money, times and counts as people read them: as many digits as mean something."""

from __future__ import annotations

from decimal import Decimal

DIGITS = 3
NOT_KNOWN = "–"


def usd(amount: float) -> str:
    """US dollars: `$1,240`, `$2.00`, `$0.0021`; never in powers of ten."""
    if round(amount, 2) >= 1000:
        return f"${amount:,.0f}"
    if round(amount, 2) >= 1:
        return f"${amount:.2f}"
    whole, _, rest = f"{Decimal(f'{amount:.{DIGITS}g}'):f}".partition(".")
    return "$0" if not amount else f"${whole}.{rest.rstrip('0'):0<2}"


def duration(seconds: float) -> str:
    """A latency: `2.14 ms`, `187 ms`, `1.25 s`, `61.0 s`."""
    if seconds >= 0.9995:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.3g} ms"


def bound(seconds: float) -> str:
    """A bound of the histogram, without digits that say nothing: `0.05 ms`, `1.5 ms`, `20 s`."""
    return f"{seconds:g} s" if seconds >= 1 else f"{Decimal(f'{1000 * seconds:.{DIGITS}g}'):f} ms"


def number(amount: float) -> str:
    """A count, or what a provider counts in fractions: `1,204`, `0.5`."""
    return f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.2f}"


def file_size(size: float) -> str:
    """Bytes in decimal units: `812 B`, `14.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.{DIGITS}g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"

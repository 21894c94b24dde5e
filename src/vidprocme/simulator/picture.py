"""A simulation as a picture (SVG): how busy the GPUs were, how much waited, and one strip for each GPU."""

from __future__ import annotations

from collections.abc import Sequence

from vidprocme.core.job import Bin
from vidprocme.simulator.video import Run

WIDTH, LEFT, STRIP, CHART = 1_000, 110, 12, 120
COLOURS = ("#3b6fb6", "#d08b2c", "#3f9c6b", "#8c5bb0", "#b8524e", "#5b8f97")
LOADS = "#20242b"
BINS = {Bin.URGENT: "#b8524e", Bin.HIGH: "#d08b2c", Bin.NORMAL: "#3b6fb6", Bin.BULK: "#7b8794"}
TEXT = 'font-family="system-ui, sans-serif" font-size="12" fill="#20242b"'


def picture(run: Run, title: str) -> str:
    """The whole simulation from left to right. In a strip a model has a colour, and black is a model being loaded."""
    end_ms = max(1, run.end_ms)
    places = sorted({strip[0] for strip in run.strips})
    models = sorted({strip[3] for strip in run.strips})
    colour = {model: COLOURS[number % len(COLOURS)] for number, model in enumerate(models)}
    steps = WIDTH - LEFT
    height = 40 + 2 * (CHART + 30) + len(places) * (STRIP + 3) + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 20} {height}" role="img">',
        f"<title>{_safe(title)}</title>",
        f'<rect width="{WIDTH + 20}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" {TEXT} font-weight="600">{_safe(title)}</text>',
    ]
    top = 40
    busy = [min(1.0, share / max(1, len(places))) for share in _busy(run, end_ms, steps)]
    parts += _curve([busy], ["#3b6fb6"], top, "GPUs busy", "100 %")
    top += CHART + 30
    waits = _waiting(run, end_ms, steps)
    most = max((value for line in waits.values() for value in line), default=0) or 1
    lines = [[value / most for value in line] for line in waits.values()]
    parts += _curve(lines, [BINS[bin_] for bin_ in waits], top, "videos wait", f"{most:,.0f}")
    for number, bin_ in enumerate(waits):
        x = LEFT + 90 * number
        parts.append(f'<rect x="{x}" y="{top + CHART + 6}" width="10" height="10" fill="{BINS[bin_]}"/>')
        parts.append(f'<text x="{x + 14}" y="{top + CHART + 15}" {TEXT}>{bin_.value}</text>')
    top += CHART + 30
    for number, place in enumerate(places):
        y = top + number * (STRIP + 3)
        parts.append(f'<text x="10" y="{y + 10}" {TEXT}>{_safe(place)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{steps}" height="{STRIP}" fill="#eef1f4"/>')
        parts += _strip([strip for strip in run.strips if strip[0] == place], end_ms, steps, y, colour)
    y = top + len(places) * (STRIP + 3) + 20
    parts += [
        f'<text x="{LEFT + steps * part // 6}" y="{y}" {TEXT} text-anchor="middle">{end_ms * part / 6 / 3.6e6:.1f} h</text>'
        for part in range(7)
    ]
    for number, (model, fill) in enumerate([*colour.items(), ("loading", LOADS)]):
        x = LEFT + 110 * number
        parts.append(f'<rect x="{x}" y="{y + 12}" width="10" height="10" fill="{fill}"/>')
        parts.append(f'<text x="{x + 14}" y="{y + 21}" {TEXT}>{_safe(model)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _strip(
    strips: Sequence[tuple[str, int, int, str, int]], end_ms: int, steps: int, y: int, colour: dict[str, str]
) -> list[str]:
    """One GPU: runs of the same model are one bar, as far as the eye could tell them apart."""
    bars: list[tuple[float, float, str]] = []
    for _, start_ms, stop_ms, model, load_ms in sorted(strips, key=lambda strip: strip[1]):
        begin, middle, stop = (steps * at / end_ms for at in (start_ms, start_ms + load_ms, stop_ms))
        for left, right, fill in ((begin, middle, LOADS), (middle, stop, colour[model])):
            if right <= left:
                continue
            if bars and bars[-1][2] == fill and left - bars[-1][1] < 0.5:
                bars[-1] = bars[-1][0], right, fill
            else:
                bars.append((left, right, fill))
    return [
        f'<rect x="{LEFT + left:.1f}" y="{y}" width="{max(0.4, right - left):.1f}" height="{STRIP}" fill="{fill}"/>'
        for left, right, fill in bars
    ]


def _busy(run: Run, end_ms: int, steps: int) -> list[float]:
    """GPUs that were at work, on average over each step."""
    found = [0.0] * steps
    for _, start_ms, stop_ms, _, _ in run.strips:
        left, right = start_ms * steps / end_ms, stop_ms * steps / end_ms
        for step in range(int(left), min(steps, int(right) + 1)):
            found[step] += max(0.0, min(right, step + 1) - max(left, step))
    return found


def _waiting(run: Run, end_ms: int, steps: int) -> dict[Bin, list[float]]:
    """Videos that had come and of which nothing was described yet, at each step."""
    found = {bin_: [0.0] * steps for bin_ in Bin}
    for video in run.videos:
        left, right = (int(at * steps / end_ms) for at in (video.film.at_ms, video.first_start_ms))
        for step in range(left, min(steps, right)):
            found[video.film.bin][step] += 1
    return found


def _curve(lines: Sequence[Sequence[float]], colours: Sequence[str], top: int, name: str, most: str) -> list[str]:
    base = top + CHART
    parts = [
        f'<text x="10" y="{top + 12}" {TEXT}>{name}</text>',
        f'<text x="{LEFT - 6}" y="{top + 26}" {TEXT} text-anchor="end">{most}</text>',
        f'<line x1="{LEFT}" y1="{base}" x2="{WIDTH}" y2="{base}" stroke="#c6ccd3"/>',
    ]
    for values, colour in zip(lines, colours, strict=True):
        points = " ".join(f"{LEFT + x},{base - CHART * value:.1f}" for x, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>')
    return parts


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")

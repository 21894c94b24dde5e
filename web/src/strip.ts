/** The arithmetic of strips. Pure. */
export type Span = { key: string; from: number; to: number }

/** Where `x` stands between `min` and `max`, in percent; what lies outside stands at the edge. */
export function percentOf(x: number, min: number, max: number): number {
  if (!(max > min)) return 0
  return ((Math.min(Math.max(x, min), max) - min) / (max - min)) * 100
}

/** Spans that can be seen between `min` and `max`, in order of time. */
export function seen<T extends Span>(spans: T[], min: number, max: number): T[] {
  return spans.filter((span) => span.to >= min && span.from <= max).sort((a, b) => a.from - b.from || a.to - b.to)
}

/** Which span a moment lies in (half-open), of spans in order; -1: none. */
export function spanAt<T extends { from: number; to: number }>(spans: T[], x: number): number {
  let [low, high, found] = [0, spans.length - 1, -1]
  while (low <= high) {
    const middle = (low + high) >> 1
    if (spans[middle]!.from <= x) {
      found = middle
      low = middle + 1
    } else high = middle - 1
  }
  return found >= 0 && x < spans[found]!.to ? found : -1
}

/** Where the arrow goes from `at` of `count`; null: the key moves nothing. */
export function rove(key: string, at: number, count: number): number | null {
  if (count === 0) return null
  if (key === 'ArrowRight' || key === 'ArrowDown') return Math.min(at + 1, count - 1)
  if (key === 'ArrowLeft' || key === 'ArrowUp') return Math.max(at - 1, 0)
  if (key === 'Home') return 0
  return key === 'End' ? count - 1 : null
}

/** A line of a few numbers, zero-based, in words for those who do not see it. */
export function Spark({ values, label, width = 88, height = 18 }: { values: number[]; label: string; width?: number; height?: number }) {
  const most = Math.max(1, ...values)
  const x = (at: number) => (at / Math.max(1, values.length - 1)) * width
  const y = (value: number) => height - (value / most) * (height - 2) - 1
  const path = values.map((value, at) => `${at ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('')
  const last = values.at(-1) ?? 0
  return (
    <svg className="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${label}: ${last}, ${Math.min(...values)}–${Math.max(0, ...values)}`}>
      <path d={path} />
    </svg>
  )
}

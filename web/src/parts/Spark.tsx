/** A small curve without axes. */
export function Spark({ values, label }: { values: number[]; label: string }) {
  const most = Math.max(1, ...values);
  const points = values.map((value, n) => `${(n / Math.max(1, values.length - 1)) * 88 + 1},${23 - (value / most) * 20}`).join(" ");
  return (
    <svg width="90" height="24" viewBox="0 0 90 24" role="img" aria-label={label}>
      <polyline points={points} fill="none" stroke="currentColor" strokeWidth="1.5" />
    </svg>
  );
}

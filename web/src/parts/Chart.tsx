import { useEffect, useMemo, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { clock, number } from '../format'
import { isDark, usePrefs } from '../prefs'
import { words } from '../words'

type Props = { title: string; unit: string; points: { atMs: number; value: number }[]; hue?: string; height?: number }

/** One number over time: one hue, from zero, on a 24 h clock. The same as a table for screen readers. */
export function Chart({ title, unit, points, hue = '--accent', height = 168 }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const prefs = usePrefs()
  const dark = isDark(prefs)
  const data = useMemo<uPlot.AlignedData>(() => [points.map((one) => one.atMs / 1000), points.map((one) => one.value)], [points])
  const latest = useRef(data)
  latest.current = data
  useEffect(() => {
    const at = box.current
    if (!at) return undefined
    const style = getComputedStyle(document.documentElement)
    const token = (name: string) => style.getPropertyValue(name).trim()
    const quiet = { stroke: token('--ink-3'), font: `12px ${token('--font')}`, ticks: { show: false } }
    const made = new uPlot(
      {
        width: at.clientWidth || 300,
        height,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 4, 0, 0],
        scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.12 : 1] } },
        axes: [
          { ...quiet, grid: { show: false }, space: 90, values: (_plot, splits) => splits.map((s) => clock(s * 1000, prefs.zone)) },
          { ...quiet, grid: { stroke: token('--line'), width: 1 }, size: 46, space: 44, values: (_plot, splits) => splits.map((one) => number(one)) },
        ],
        series: [{}, { stroke: token(hue), width: 1.6, fill: `color-mix(in srgb, ${token(hue)} 14%, transparent)`, points: { show: false } }],
      },
      latest.current,
      at,
    )
    plot.current = made
    const watching = new ResizeObserver(() => made.setSize({ width: at.clientWidth, height }))
    watching.observe(at)
    return () => {
      watching.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [dark, height, hue, prefs.zone])
  useEffect(() => plot.current?.setData(data), [data])
  return (
    <figure>
      <div ref={box} className="chart" style={{ height }} aria-hidden />
      <table className="unseen">
        <caption>{words.chart.table(title)}</caption>
        <thead><tr><th scope="col">{words.chart.time}</th><th scope="col">{unit}</th></tr></thead>
        <tbody>{points.map((one) => <tr key={one.atMs}><td>{clock(one.atMs, prefs.zone)}</td><td>{number(one.value)}</td></tr>)}</tbody>
      </table>
    </figure>
  )
}

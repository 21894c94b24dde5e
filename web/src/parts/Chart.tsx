// A curve over time, with its numbers in a table for those who cannot see it.

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, minute, whole } from "../format";
import { usePrefs } from "../prefs";

interface Props {
  title: string;
  times: number[]; // seconds since the epoch
  values: number[];
  height?: number;
}

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export default function Chart({ title, times, values, height = 180 }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { theme, utc } = usePrefs();
  useEffect(() => {
    const place = box.current;
    if (!place) return undefined;
    const axis = { stroke: colour("--ink-3"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `12px ${colour("--sans")}` };
    const made = new uPlot(
      {
        width: place.clientWidth || 300,
        height,
        legend: { show: false },
        cursor: { show: false },
        tzDate: utc ? (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC") : (ts) => new Date(ts * 1000),
        scales: { y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.1)] } },
        padding: [8, 8, 0, 0],
        axes: [
          { ...axis, grid: { show: false }, size: 30, space: 80, values: (_u, ticks) => ticks.map((tick) => minute(tick * 1000, utc)) },
          { ...axis, size: 44, values: (_u, ticks) => ticks.map((tick) => whole(tick)) },
        ],
        series: [{}, { stroke: colour("--stage-describe"), width: 1.5, fill: `${colour("--stage-describe")}22`, points: { show: false } }],
      },
      [times, values],
      place,
    );
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height }));
    sized.observe(place);
    return () => {
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
    // The data is given to the same plot below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [theme, utc, height]);
  useEffect(() => plot.current?.setData([times, values]), [times, values]);
  return (
    <figure aria-label={title} style={{ margin: 0 }}>
      <div ref={box} aria-hidden="true" />
      <div className="only-read">
      <table>
        <caption>{title}</caption>
        <tbody>
          {times.slice(-30).map((time, n) => (
            <tr key={time}>
              <th scope="row">{clock(time * 1000, utc)}</th>
              <td>{values.slice(-30)[n]}</td>
            </tr>
          ))}
        </tbody>
      </table>
      </div>
    </figure>
  );
}


// A curve over time, with its numbers in a table for those who cannot see it.

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, whole } from "../format";
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
    const axis = { stroke: colour("--ink-3"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
    const made = new uPlot(
      {
        width: place.clientWidth || 300,
        height,
        legend: { show: false },
        cursor: { show: false },
        tzDate: utc ? (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC") : (ts) => new Date(ts * 1000),
        scales: { y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [
          { ...axis, grid: { show: false }, values: [[60, "{HH}:{mm}", "", "", "", "", "", "", 0]] },
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
      <table className="only-read">
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
    </figure>
  );
}


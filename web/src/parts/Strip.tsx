// Spans on a time axis: what ran on a place, how a job's stages went, which captions a video has. One stop of the keyboard for each
// strip; arrows go along it.

import { useRef, useState } from "react";

export interface StripSpan {
  key: string;
  start: number; // in the axis' unit
  end: number;
  look: string; // a class of the span: s-describe, s-hit ...
  label: string; // all that it says, for readers and on hover
  text?: string; // shown inside when there is room
  dim?: boolean;
  failed?: boolean;
  current?: boolean;
}

interface Props {
  label: string;
  from: number;
  to: number;
  spans: StripSpan[];
  playhead?: number;
  tall?: boolean;
  thin?: boolean;
  glides?: boolean;
  choose?: (span: StripSpan) => void;
  seek?: (at: number) => void;
}

export function Strip({ label, from, to, spans, playhead, tall, thin, glides, choose, seek }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [stop, setStop] = useState(0);
  const length = Math.max(1e-9, to - from);
  const at = (time: number) => `${Math.min(100, Math.max(0, ((time - from) / length) * 100))}%`;
  const here = Math.min(stop, Math.max(0, spans.length - 1));
  const keys = (event: React.KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: spans.length - 1 };
    const next = steps[event.key];
    if (next === undefined || next < 0 || next >= spans.length) return;
    event.preventDefault();
    setStop(next);
    box.current?.querySelectorAll<HTMLButtonElement>(".span")[next]?.focus();
  };
  const click = (event: React.MouseEvent) => {
    const area = box.current?.getBoundingClientRect();
    if (seek && area) seek(from + ((event.clientX - area.left) / area.width) * length);
  };
  return (
    <div
      ref={box}
      role="group"
      aria-label={label}
      className={["strip", tall ? "tall" : "", thin ? "thin" : "", glides ? "glides" : ""].filter(Boolean).join(" ")}
      onKeyDown={keys}
      onClick={click}
    >
      {spans.map((span, n) => (
        <button
          key={span.key}
          type="button"
          className={["span", span.look, span.dim ? "dim" : "", span.failed ? "failed" : ""].filter(Boolean).join(" ")}
          style={{ left: at(span.start), width: `calc(${at(span.end)} - ${at(span.start)})` }}
          title={span.label}
          aria-label={span.label}
          aria-current={span.current ? "true" : undefined}
          tabIndex={n === here ? 0 : -1}
          onFocus={() => setStop(n)}
          onClick={(event) => {
            if (choose) {
              event.stopPropagation();
              choose(span);
            }
          }}
        >
          {span.text}
        </button>
      ))}
      {playhead !== undefined && <span className="playhead" style={{ left: at(playhead) }} />}
    </div>
  );
}

/** The axis below strips that share it, from the left edge to the right one, the ticks as far apart as they are in time. */
export function Axis({ ticks }: { ticks: string[] }) {
  return (
    <div className="axis" aria-hidden="true">
      {ticks.map((tick, n) => (
        <span key={tick} style={{ left: `${(n / Math.max(1, ticks.length - 1)) * 100}%` }}>
          {tick}
        </span>
      ))}
    </div>
  );
}

export const STAGES = ["probe", "transcode", "frames", "join", "describe", "index"] as const;

export function Legend({ stages }: { stages: readonly string[] }) {
  return (
    <ul className="plain legend">
      {STAGES.filter((stage) => stages.includes(stage)).map((stage) => (
        <li key={stage}>
          <i className={`s-${stage}`} />
          {stage}
        </li>
      ))}
    </ul>
  );
}

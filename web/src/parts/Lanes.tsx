// Strips of places: what ran there in a stretch of time that ends now, and why nothing runs. All of them share one axis.

import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Schemas } from "../api";
import { age, bytes, percent } from "../format";
import { useLanes } from "../queries";
import { words } from "../words";
import { Axis, Legend, Strip, type StripSpan } from "./Strip";

type PlaceDocument = Schemas["PlaceDocument"];
const MANY = 2; // from so many lanes on they are thin

interface Props {
  places: PlaceDocument[];
  windowS?: number;
  lanesMost?: number;
  /** The machine is named by what is around. */
  short?: boolean;
  legend?: boolean;
}

export function Lanes({ places, windowS = 300, lanesMost = 4, short, legend = true }: Props) {
  return (
    <>
      <ul className="plain">
        {places.map((place) => (
          <Place key={place.id} place={place} windowS={windowS} lanesMost={lanesMost} short={short} />
        ))}
      </ul>
      <div className="lane axis-row" aria-hidden="true">
        <span />
        <Axis ticks={ticks(windowS)} />
        <span />
      </div>
      {legend && <Legend stages={["probe", "transcode", "frames", "join", "describe", "index"]} />}
    </>
  );
}

const STEPS_S: Record<number, number> = { 300: 60, 900: 300, 3600: 900 };

/** `5 min`, `4`, `3` ... `now` */
export function ticks(windowS: number): string[] {
  const stepS = STEPS_S[windowS] ?? windowS;
  const minutes = Array.from({ length: Math.floor(windowS / stepS) }, (_, n) => (windowS - n * stepS) / 60);
  return [...minutes.map((m, n) => (n === 0 ? words.strip.minutes(m) : String(m))), words.strip.now];
}

function Place({ place, windowS, lanesMost, short }: { place: PlaceDocument; windowS: number; lanesMost: number; short?: boolean }) {
  const navigate = useNavigate();
  const { data } = useLanes(place.id, windowS);
  const lanes = useMemo(() => (data?.lanes ?? []).map((lane) => lane.map((span) => stripSpan(span, data?.end ?? ""))), [data]);
  const from = data ? Date.parse(data.start) : 0;
  const to = data ? Date.parse(data.end) : 1;
  const shown = (lanes.length ? lanes : [[]]).slice(0, lanesMost);
  const hidden = lanes.length - shown.length;
  const about = [
    place.kind === "server" ? words.fleet.server : "", // of the others the name says it
    place.simulated ? words.fleet.simulated : "",
    place.warm.length ? words.fleet.loaded(place.warm.join(", ")) : "",
    place.temperature_c === null ? "" : `${Math.round(place.temperature_c)} °C`,
  ];
  return (
    <li className="lane">
      <div className="lane-name">
        <span className="mono" title={place.id}>
          {short ? place.name : `${place.node}:${place.name}`}
        </span>
        <div className="meta">{about.filter(Boolean).join(" · ")}</div>
      </div>
      <div className="lane-strips">
        {shown.map((spans, n) => (
          <Strip
            key={n}
            label={lanes.length > 1 ? words.strip.lane(place.id, n + 1) : place.id}
            from={from}
            to={to}
            spans={spans}
            glides
            thin={shown.length > MANY}
            choose={(span) => void navigate({ to: "/jobs/$id", params: { id: span.key.split(" ")[0] ?? "" } })}
          />
        ))}
        {hidden > 0 && <span className="meta">{words.strip.more(hidden)}</span>}
        {place.idle_reason && <span className="meta">{place.idle_reason}</span>}
      </div>
      <div className="lane-numbers">
        <span title={words.fleet.busyOf(age(300))}>{percent(place.busy_fraction)}</span>
        <div className="meta">
          {place.vram_total_bytes === null
            ? words.fleet.slots(place.busy, place.slots)
            : `${bytes(place.vram_used_bytes ?? 0).replace(/ .*/, "")}/${bytes(place.vram_total_bytes)}`}
        </div>
      </div>
    </li>
  );
}

function stripSpan(span: Schemas["SpanDocument"], end: string): StripSpan {
  const start = Date.parse(span.start);
  const until = Date.parse(span.end ?? end);
  const how = words.states[span.outcome ?? "running"] ?? span.outcome ?? "";
  return {
    key: `${span.job} ${span.task} ${span.start}`,
    start,
    end: until,
    look: `s-${span.stage}`,
    label: `${span.stage}, ${how}, ${age((until - start) / 1000)}`,
    failed: span.outcome === "failed" || span.outcome === "dead" || span.outcome === "timeout",
  };
}

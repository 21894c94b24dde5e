// Strips of places: what ran there in the last five minutes, and why it does nothing now.

import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Schemas } from "../api";
import { age, percent } from "../format";
import { useLanes } from "../queries";
import { words } from "../words";
import { Legend, Strip, type StripSpan } from "./Strip";

export function Lanes({ places }: { places: Schemas["PlaceDocument"][] }) {
  return (
    <>
      <ul className="plain">
        {places.map((place) => (
          <Place key={place.id} place={place} />
        ))}
      </ul>
      <Legend stages={["probe", "transcode", "frames", "join", "describe", "index"]} />
    </>
  );
}

function Place({ place }: { place: Schemas["PlaceDocument"] }) {
  const navigate = useNavigate();
  const { data } = useLanes(place.id);
  const lanes = useMemo(() => (data?.lanes ?? []).map((lane) => lane.map((span) => stripSpan(span, data?.end ?? ""))), [data]);
  const from = data ? Date.parse(data.start) : 0;
  const to = data ? Date.parse(data.end) : 1;
  return (
    <li className="lane">
      <div className="cut">
        <span className="mono" title={place.id}>
          {place.node}:{place.name}
        </span>
        <div className="meta cut">
          {place.kind}
          {place.simulated && `, ${words.fleet.simulated}`}
        </div>
      </div>
      <div className="stack" style={{ gap: 2 }}>
        {(lanes.length ? lanes : [[]]).slice(0, 4).map((spans, n) => (
          <Strip
            key={n}
            label={`${place.id}${lanes.length > 1 ? ` ${n + 1}` : ""}`}
            from={from}
            to={to}
            spans={spans}
            glides
            choose={(span) => void navigate({ to: "/jobs/$id", params: { id: span.key.split(" ")[0] ?? "" } })}
          />
        ))}
        {place.idle_reason && <span className="meta">{place.idle_reason}</span>}
      </div>
      <div className="right">
        {percent(place.busy_fraction)}
        <div className="meta">{words.fleet.slots(place.busy, place.slots)}</div>
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

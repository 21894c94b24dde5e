// Machines, their places, and what ran on each: where the work goes, and why a place does none.

import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { percent } from "../format";
import { Button, Card, Empty, Loaded, PageHead, State, Time } from "../parts/basic";
import { Lanes } from "../parts/Lanes";
import { Confirm, toast } from "../parts/overlay";
import { Legend } from "../parts/Strip";
import { useModels, useNodes } from "../queries";
import { words } from "../words";

const route = getRouteApi("/fleet");
const STAGES = ["probe", "transcode", "frames", "join", "describe", "index"];
const LANES_MOST = 16;

export default function Fleet() {
  const nodes = useNodes();
  const { window: windowS = 300 } = route.useSearch();
  const navigate = route.useNavigate();
  const places = nodes.data?.items.flatMap((node) => node.places) ?? [];
  const busy = places.reduce((sum, place) => sum + place.busy, 0);
  return (
    <>
      <PageHead title={words.fleet.title} text={places.length > 0 && words.fleet.sub(nodes.data?.items.length ?? 0, places.length, busy)}>
        {places.length > 0 && (
          <select
            className="input"
            aria-label={words.fleet.window}
            value={windowS}
            onChange={(event) => void navigate({ search: { window: event.target.value === "300" ? undefined : Number(event.target.value) } })}
          >
            {Object.entries(words.fleet.windows).map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        )}
      </PageHead>
      <Loaded query={nodes}>
        {(data) =>
          data.items.length === 0 ? (
            <Empty title={words.fleet.none} text={words.fleet.noneNext} command="vidprocme worker" />
          ) : (
            <div className="stack">
              <Legend stages={STAGES} />
              {data.items.map((node) => (
                <Node key={node.id} node={node} windowS={windowS} />
              ))}
              <Models />
            </div>
          )
        }
      </Loaded>
    </>
  );
}

function Node({ node, windowS }: { node: Schemas["NodeDocument"]; windowS: number }) {
  const [asks, setAsks] = useState(false);
  const drained = node.drained_by !== null;
  const act = async () => {
    const params = { params: { path: { node: node.id } } };
    await told(drained ? http.POST("/v1/nodes/{node}/undrain", params) : http.POST("/v1/nodes/{node}/drain", params));
    await queries.invalidateQueries({ queryKey: ["nodes"] });
    toast(drained ? words.fleet.backNow(node.id) : words.fleet.drainedNow(node.id));
  };
  return (
    <Card
      title={
        <span className="node-head">
          <span className="mono">{node.id}</span>
          {drained ? <State name="draining" text={words.fleet.drainedBy(node.drained_by ?? "")} /> : <State name={node.state} />}
          <span className="meta">
            {words.fleet.pools(node.pools)}
            {node.started_at && (
              <>
                , {words.fleet.upSince} <Time at={node.started_at} />
              </>
            )}
          </span>
        </span>
      }
      aside={
        <Button small onClick={() => setAsks(true)}>
          {drained ? words.fleet.undrain(node.id) : words.fleet.drain(node.id)}
        </Button>
      }
    >
      <Lanes places={node.places} windowS={windowS} lanesMost={LANES_MOST} short legend={false} />
      <Now places={node.places} label={node.id} />
      {asks && (
        <Confirm
          title={`${drained ? words.fleet.undrain(node.id) : words.fleet.drain(node.id)}?`}
          text={drained ? words.fleet.undrainText : words.fleet.drainText}
          verb={drained ? words.fleet.undrain(node.id) : words.fleet.drain(node.id)}
          act={act}
          close={() => setAsks(false)}
        />
      )}
    </Card>
  );
}

/** What runs this moment, folded: the strips show it already, and a machine may run a hundred. */
function Now({ places, label }: { places: Schemas["PlaceDocument"][]; label: string }) {
  const running = places.flatMap((place) => place.now.map((now) => ({ place, now })));
  if (running.length === 0) return <p className="meta">{words.fleet.nothingRuns}</p>;
  return (
    <details className="now">
      <summary>{words.fleet.runsNow(running.length)}</summary>
      <div className="scroll" tabIndex={0} role="region" aria-label={`${label}: ${words.fleet.runsNow(running.length)}`}>
        <table className="sheet">
          <thead>
            <tr>
              <th scope="col">{words.jobs.columns.name}</th>
              <th scope="col">{words.jobs.columns.stage}</th>
              <th scope="col">{words.fleet.place}</th>
              <th scope="col" className="right">
                {words.fleet.runsFor}
              </th>
            </tr>
          </thead>
          <tbody>
            {running.map(({ place, now }) => (
              <tr key={now.task}>
                <td className="break">
                  <Link to="/jobs/$id" params={{ id: now.job }}>
                    {now.name || now.job}
                  </Link>
                </td>
                <td>
                  <State name="running" text={now.stage} /> {now.progress > 0 && <span className="meta">{percent(now.progress)}</span>}
                </td>
                <td className="mono">{place.name}</td>
                <td className="right">
                  <Time at={now.started_at} relative />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Models() {
  const models = useModels();
  return (
    <Card title={words.fleet.models}>
      <Loaded query={models}>
        {(data) => (
          <ul className="plain">
            {data.items.map((model) => (
              <li key={model.id} className="row">
                <span className="mono">{model.id}</span>
                <span className="meta">
                  {model.kind}
                  {model.warm.length > 0 && ` · ${words.fleet.warm}: ${model.warm.join(", ")}`}
                </span>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Card>
  );
}

import { useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { age, bytes, percent } from "../format";
import { Button, Card, Empty, Loaded, PageHead, State, Time } from "../parts/basic";
import { Lanes } from "../parts/Lanes";
import { Confirm } from "../parts/overlay";
import { useModels, useNodes } from "../queries";
import { words } from "../words";
import { Link } from "@tanstack/react-router";

export default function Fleet() {
  const nodes = useNodes();
  return (
    <>
      <PageHead title={words.fleet.title} />
      <Loaded query={nodes}>
        {(data) =>
          data.items.length === 0 ? (
            <Empty title={words.fleet.none} text={words.fleet.noneNext} command="vidprocme worker" />
          ) : (
            <div className="stack">
              {data.items.map((node) => (
                <Node key={node.id} node={node} />
              ))}
              <Models />
            </div>
          )
        }
      </Loaded>
    </>
  );
}

function Node({ node }: { node: Schemas["NodeDocument"] }) {
  const [asks, setAsks] = useState(false);
  const drained = node.drained_by !== null;
  const act = async () => {
    const params = { params: { path: { node: node.id } } };
    await told(drained ? http.POST("/v1/nodes/{node}/undrain", params) : http.POST("/v1/nodes/{node}/drain", params));
    await queries.invalidateQueries({ queryKey: ["nodes"] });
  };
  const running = node.places.flatMap((place) => place.now.map((now) => ({ place, now })));
  return (
    <Card
      title={
        <>
          <span className="mono">{node.id}</span> <span className="meta">{words.fleet.pools(node.pools)}</span>{" "}
          {node.state === "draining" && <span className="tag warn">{node.drained_by ? words.fleet.drainedBy(node.drained_by) : words.fleet.draining}</span>}
        </>
      }
      aside={
        <Button small onClick={() => (drained ? void act() : setAsks(true))}>
          {drained ? words.fleet.undrain(node.id) : words.fleet.drain(node.id)}
        </Button>
      }
    >
      <Lanes places={node.places} />
      {node.places.some((place) => place.vram_total_bytes !== null || place.warm.length > 0) && (
        <p className="meta break" style={{ marginTop: 8 }}>
          {node.places
            .filter((place) => place.warm.length || place.vram_total_bytes !== null)
            .map((place) =>
              [
                `${place.name}: ${place.warm.join(", ") || words.common.none}`,
                place.vram_total_bytes === null ? "" : `${bytes(place.vram_used_bytes ?? 0)} / ${bytes(place.vram_total_bytes)}`,
                place.temperature_c === null ? "" : `${place.temperature_c} °C`,
                place.utilization === null ? "" : percent(place.utilization),
              ]
                .filter(Boolean)
                .join(", "),
            )
            .join(" · ")}
        </p>
      )}
      {running.length === 0 ? (
        <p className="meta" style={{ marginTop: 12 }}>
          {words.fleet.nothingRuns}
        </p>
      ) : (
        <div className="scroll" style={{ marginTop: 12 }} tabIndex={0} role="region" aria-label={`${node.id}: ${words.states.running ?? ""}`}>
          <table className="sheet">
            <thead>
              <tr>
                <th scope="col">{words.jobs.columns.name}</th>
                <th scope="col">{words.jobs.columns.stage}</th>
                <th scope="col">{words.pages.fleet}</th>
                <th scope="col" className="right">
                  {words.jobs.columns.age}
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
      )}
      {node.started_at && (
        <p className="meta" style={{ marginTop: 8 }}>
          {words.alerts.since} <Time at={node.started_at} /> ({age((Date.now() - Date.parse(node.started_at)) / 1000)})
        </p>
      )}
      {asks && (
        <Confirm title={words.fleet.drain(node.id)} verb={words.fleet.drain(node.id)} act={act} close={() => setAsks(false)} />
      )}
    </Card>
  );
}

function Models() {
  const models = useModels();
  return (
    <Card title={words.video.model}>
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

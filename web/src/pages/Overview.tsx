import { Link } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { http, queries, type Schemas, told } from "../api";
import { age, whole } from "../format";
import { Button, Card, ErrorState, Loaded, PageHead, Said, Skeleton } from "../parts/basic";
import { attempt } from "../parts/overlay";
import { Lanes } from "../parts/Lanes";
import { Spark } from "../parts/Spark";
import { useAlerts, useNodes, useOverview, useSeries } from "../queries";
import { linkOf, parseSearch } from "../query";
import { uploads } from "../upload/uploads";
import { words } from "../words";

const Chart = lazy(() => import("../parts/Chart"));
const SHOWN = 8;
const ALERTS_SHOWN = 3;

export default function Overview() {
  const overview = useOverview();
  const add = (
    <Button look="main" onClick={() => uploads.pick()}>
      {words.overview.add}
    </Button>
  );
  if (!overview.data) {
    return (
      <>
        <PageHead title={words.pages.overview}>{add}</PageHead>
        {overview.error ? <ErrorState error={overview.error} again={() => void overview.refetch()} /> : <Skeleton lines={8} height={28} />}
      </>
    );
  }
  const now = overview.data;
  return (
    <>
      <PageHead title={now.text} text={now.detail}>
        {add}
      </PageHead>
      {now.alerts_open > 0 && <OpenAlerts open={now.alerts_open} />}
      {now.bins.filter((bin) => bin.paused && bin.waiting > 0).map((bin) => <PausedBin key={bin.name} bin={bin} />)}
      <ul className="plain card bins" aria-label={words.overview.bins}>
        {now.bins.map((bin) => (
          <Bin key={bin.name} bin={bin} />
        ))}
      </ul>
      <div className="two">
        <Places />
        <div className="stack">
          <Throughput />
          <Failures failures={now.failures} />
        </div>
      </div>
    </>
  );
}

const WORST = ["critical", "warning", "info"];

/** The worst three, each with what happened and what can be done; a paused bin has a line of its own below. */
function OpenAlerts({ open }: { open: number }) {
  const alerts = useAlerts("open");
  const items = (alerts.data?.items ?? []).filter((alert) => alert.rule !== "bin-paused");
  const shown = [...items].sort((a, b) => WORST.indexOf(a.severity) - WORST.indexOf(b.severity)).slice(0, ALERTS_SHOWN);
  return (
    <>
      {shown.map((alert) => (
        <OpenAlert key={alert.id} alert={alert} />
      ))}
      {open > ALERTS_SHOWN && (
        <p className="meta notices-more">
          <Link to="/alerts">{words.overview.allAlerts(open)}</Link>
        </p>
      )}
    </>
  );
}

function OpenAlert({ alert }: { alert: Schemas["AlertDocument"] }) {
  const acknowledge = () =>
    attempt(async () => {
      await told(http.POST("/v1/alerts/{alert_id}/ack", { params: { path: { alert_id: alert.id } }, body: { note: "" } }));
      await queries.invalidateQueries({ queryKey: ["alerts"] });
      await queries.invalidateQueries({ queryKey: ["overview"] });
    }, words.overview.acknowledged(alert.title));
  return (
    <div className={alert.severity === "critical" ? "notice bad" : "notice"}>
      <b>
        <span aria-hidden="true">{alert.severity === "critical" ? "✕" : "!"}</span> {alert.title}
      </b>
      <span className="break">
        <Said text={alert.text} />
      </span>
      <div className="row">
        {alert.link.startsWith("/") && (
          <Link {...linkOf(alert.link)} className="button" aria-label={words.overview.showAlert(alert.title)}>
            {words.overview.showOne}
          </Link>
        )}
        <Button onClick={() => void acknowledge()} aria-label={words.overview.acknowledgeAlert(alert.title)}>
          {words.alerts.ack}
        </Button>
      </div>
    </div>
  );
}

const setPaused = (name: string, paused: boolean) =>
  attempt(() => told(http.PATCH("/v1/bins/{name}", { params: { path: { name } }, body: { paused } })));

function PausedBin({ bin }: { bin: Schemas["BinDocument"] }) {
  return (
    <div className="notice">
      <b>
        {bin.name} {words.overview.paused}
      </b>
      <span>{bin.oldest_wait_s !== null && words.overview.oldest(age(bin.oldest_wait_s))}</span>
      <div className="row">
        <Button onClick={() => void setPaused(bin.name, false)}>{words.overview.resume(bin.name)}</Button>
      </div>
    </div>
  );
}

function Bin({ bin }: { bin: Schemas["BinDocument"] }) {
  const ended = bin.per_minute.reduce((sum, n) => sum + n, 0);
  return (
    <li>
      <div className="row spread">
        <Link to="/jobs" search={{ bin: [bin.name], state: ["queued", "running"] }} className="bin-name">
          {bin.name}
        </Link>
        {bin.paused ? <span className="tag warn">{words.overview.paused}</span> : <Spark values={bin.per_minute} label={words.overview.spark(bin.name, ended)} />}
      </div>
      <div className="big">{whole(bin.waiting)}</div>
      <div className="meta">
        {words.overview.running(bin.running)}
        {bin.oldest_wait_s !== null && ` · ${words.overview.oldest(age(bin.oldest_wait_s))}`}
      </div>
    </li>
  );
}

function Places() {
  const nodes = useNodes();
  return (
    <Card title={words.overview.places} aside={<Link to="/fleet">{words.overview.wholeFleet}</Link>}>
      <Loaded query={nodes}>
        {(data) => {
          const places = data.items.flatMap((node) => node.places);
          const gpus = places.filter((place) => place.kind === "gpu");
          const shown = (gpus.length ? gpus : places).slice(0, SHOWN);
          if (!shown.length) return <p className="meta">{words.overview.noPlaces}</p>;
          return <Lanes places={shown} />;
        }}
      </Loaded>
    </Card>
  );
}

function Throughput() {
  const series = useSeries("frames", 60);
  return (
    <Card title={words.overview.frames}>
      <Loaded query={series}>
        {(data) => {
          const over = data.items.slice(0, -1); // the minute that runs is not full yet
          return (
            <Suspense fallback={<Skeleton lines={1} height={180} />}>
              <Chart
                title={words.overview.frames}
                times={over.map((point) => Date.parse(point.at) / 1000)}
                values={over.map((point) => Object.values(point.values).reduce((sum, value) => sum + value, 0))}
              />
            </Suspense>
          );
        }}
      </Loaded>
    </Card>
  );
}

function Failures({ failures }: { failures: Schemas["FailureDocument"][] }) {
  return (
    <Card title={words.overview.failures}>
      {failures.length === 0 ? (
        <p className="meta">{words.overview.noFailures}</p>
      ) : (
        <table className="sheet">
          <thead>
            <tr>
              <th scope="col">{words.overview.why}</th>
              <th scope="col" className="right">
                {words.overview.jobs}
              </th>
            </tr>
          </thead>
          <tbody>
            {failures.map((one) => (
              <tr key={`${one.stage} ${one.code}`}>
                <td className="break">
                  {one.text} <span className="meta">{one.stage}</span>
                  <br />
                  <Link to="/jobs" search={parseSearch(one.filter)}>
                    {words.overview.show}
                    <span className="only-read"> {one.code}</span>
                  </Link>
                </td>
                <td className="right">{whole(one.jobs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { age, percent } from "../format";
import { Button, Card, ErrorPage, PageHead, Progress, Said, Skeleton, State, Tabs, Time } from "../parts/basic";
import { Evidence } from "../parts/Evidence";
import { attempt, Confirm, Menu } from "../parts/overlay";
import { Legend, Strip } from "../parts/Strip";
import { drop, renew, useJob, useTimeline } from "../queries";
import type { JobTab } from "../router";
import { words } from "../words";
import { Attempts, Events, Logs, Payload } from "./JobTabs";
import { NO_MODEL } from "./VideoParts";

type Job = Schemas["JobDocument"];

const ENDED = ["succeeded", "failed", "cancelled"];
const BINS = ["urgent", "high", "normal", "bulk"] as const;

export default function JobPage() {
  const { id } = useParams({ from: "/jobs/$id" });
  const job = useJob(id);
  if (!job.data) return job.error ? <ErrorPage error={job.error} again={() => void job.refetch()} /> : <Skeleton lines={8} height={24} />;
  return <Shown key={id} job={job.data} />;
}

function Shown({ job }: { job: Job }) {
  const { tab = "attempts" } = useSearch({ from: "/jobs/$id" });
  const navigate = useNavigate({ from: "/jobs/$id" });
  const going = !ENDED.includes(job.state);
  return (
    <>
      <Head job={job} going={going} />
      {job.error && <Broken error={job.error} />}
      {job.degraded.map((note) => (
        <div key={note} className="notice">
          {note === NO_MODEL ? words.video.noCaptions.missing : note}
        </div>
      ))}
      {going && <Waiting job={job} />}
      <Rounds id={job.id} />
      <Stages job={job} />
      <div style={{ marginTop: 20 }}>
        <Tabs<JobTab>
          label={words.job.attempt}
          now={tab}
          choose={(next) => void navigate({ search: (before) => ({ ...before, tab: next }), replace: true })}
          tabs={(["attempts", "log", "payload", "events"] as const).map((key) => ({ key, text: words.job.tabs[key] }))}
        />
        {tab === "attempts" && <Attempts id={job.id} />}
        {tab === "log" && <Logs id={job.id} />}
        {tab === "payload" && <Payload job={job} />}
        {tab === "events" && <Events id={job.id} />}
      </div>
    </>
  );
}

function Head({ job, going }: { job: Job; going: boolean }) {
  const [asks, setAsks] = useState<"" | "cancel" | "drop">("");
  const navigate = useNavigate();
  const path = { params: { path: { job_id: job.id } } };
  const refresh = () => queries.invalidateQueries({ queryKey: ["job", job.id] });
  const retriable = job.state === "failed" || job.state === "cancelled" || Boolean(job.tasks.dead) || Boolean(job.tasks.failed);
  return (
    <PageHead
      title={job.title || job.name}
      text={
        <span className="row">
          <State name={job.state} />
          {going && <span>{percent(job.progress)}</span>}
          <span>{job.bin}</span>
          <span className="mono">{job.id}</span>
          <Time at={job.created_at} />
        </span>
      }
    >
      {retriable && (
        <Button
          look="main"
          onClick={() =>
            void attempt(async () => {
              await told(http.POST("/v1/jobs/{job_id}/retry", path));
              await refresh();
            })
          }
        >
          {words.job.retry}
        </Button>
      )}
      <Link className="button" to="/videos/$id" params={{ id: job.video }}>
        {words.job.openVideo}
      </Link>
      {going && (
        <Menu
          text={words.job.move}
          choices={BINS.filter((bin) => bin !== job.bin).map((bin) => ({
            text: bin,
            act: () =>
              void attempt(async () => {
                await told(http.PATCH("/v1/jobs/{job_id}", { ...path, body: { bin } }));
                await refresh();
              }, `${words.job.move}: ${bin}`),
          }))}
        />
      )}
      {going ? (
        <Button look="danger" onClick={() => setAsks("cancel")}>
          {words.job.cancel}
        </Button>
      ) : (
        <Button look="danger" onClick={() => setAsks("drop")}>
          {words.job.drop}
        </Button>
      )}
      {asks === "cancel" && (
        <Confirm
          danger
          title={words.job.cancel}
          text={words.job.cancelText}
          verb={words.job.cancel}
          close={() => setAsks("")}
          act={async () => {
            await told(http.POST("/v1/jobs/{job_id}/cancel", path));
            await refresh();
          }}
        />
      )}
      {asks === "drop" && (
        <Confirm
          danger
          title={words.job.drop}
          text={job.state === "succeeded" ? words.job.dropDone : words.job.dropText}
          verb={words.job.drop}
          close={() => setAsks("")}
          act={async () => {
            await drop(job.id, job.state === "succeeded");
            await renew(["jobs"]);
            await navigate({ to: "/jobs" });
          }}
        />
      )}
    </PageHead>
  );
}

function Broken({ error }: { error: Schemas["ErrorDocument"] }) {
  return (
    <div className="notice bad" role="alert">
      <div>
        <b>{error.message}</b> <Said text={error.hint} /> <span className="meta mono">{error.code}</span>
        <Evidence evidence={error.evidence} />
      </div>
    </div>
  );
}

function Waiting({ job }: { job: Job }) {
  if (!job.waiting.length && !job.line && job.eta_s === null) return null;
  // A pool that answers knows better than the queue, which only counts.
  const counted = job.waiting.filter((wait) => wait.code !== "IN_LINE" || !job.why.some((why) => why.stage === wait.stage));
  const said = new Set(counted.flatMap((wait) => [wait.text, ...wait.pools.map((pool) => pool.text)]));
  return (
    <Card title={words.job.waits}>
      <ul className="plain">
        {counted.map((wait) => (
          <li key={`${wait.stage} ${wait.state} ${wait.code}`} className="break">
            <span className="meta">
              {wait.stage}
              {wait.count > 1 && ` ×${wait.count}`}
            </span>{" "}
            <Said text={wait.text} />
            {new Set(wait.pools.map((pool) => pool.text)).size > 1 && (
              <ul className="plain" aria-label={words.job.pools} style={{ margin: "4px 0 8px 16px" }}>
                {wait.pools.map((pool) => (
                  <li key={pool.pool} className="break">
                    <span className="meta mono" title={pool.pool}>
                      {wait.pools.some((other) => other !== pool && other.host === pool.host) ? pool.pool : pool.host}
                    </span>{" "}
                    <Said text={pool.text} />
                  </li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
      {job.why.map((why) => (
        <Why key={why.task} why={why} isSaid={said.has(why.text)} />
      ))}
      {job.line && !job.why.some((why) => why.task === job.line?.task) && (
        <p className="break">
          {words.job.line(job.line.ahead, job.line.bin, job.line.more_urgent)}.{" "}
          {job.line.start_eta_s === null ? words.job.startsUnknown(job.line.how) : words.job.starts(age(job.line.start_eta_s), job.line.how)}
        </p>
      )}
      {job.eta_s !== null && <p className="break">{words.job.ends(age(job.eta_s), job.eta_how)}</p>}
    </Card>
  );
}

/** What a pool says of the first task of a stage. isSaid: its sentence stands above already. */
function Why({ why, isSaid }: { why: Schemas["WhyDocument"]; isSaid: boolean }) {
  const left = why.starts_at === null ? null : (Date.parse(why.starts_at) - Date.now()) / 1000;
  const places = why.candidates.map((one) => `${one.place}${words.job.why.rank[one.rank] ?? ""}`);
  return (
    <section className="why" aria-label={words.job.why.label(why.stage)}>
      <p className="break">
        <span className="meta">{why.stage}</span> {!isSaid && why.text}{" "}
        {left === null ? words.job.why.startsUnknown(why.position, why.text.startsWith(why.starts_how) ? "" : why.starts_how) : words.job.why.starts(left >= 1 ? age(left) : "", why.starts_how)}
      </p>
      {why.changes.length === 0 && !why.changes_cut && (left === null || left >= 1) && <p className="meta">{words.job.why.nothing}</p>}
      {why.changes.length > 0 && (
        <p className="break">
          <b>{words.job.why.now}</b>{" "}
          {why.changes.map((change, n) => (
            <span key={change.code}>
              {n > 0 && ` ${words.job.why.and} `}
              {change.text}
              {change.command && (
                <>
                  {" "}
                  <code>{change.command}</code>
                </>
              )}
            </span>
          ))}
        </p>
      )}
      {places.length > 0 && (
        <p className="break meta">
          {words.job.why.places(places.join(", "))} {why.chosen}
        </p>
      )}
    </section>
  );
}

function Rounds({ id }: { id: string }) {
  const timeline = useTimeline(id);
  const rounds = timeline.data?.items ?? [];
  if (!rounds.length) return null;
  return (
    <div className="card" style={{ marginTop: 16 }}>
      {rounds.map((round) => {
        const from = Date.parse(round.start);
        const to = Math.max(from + 1, round.end ? Date.parse(round.end) : Date.now());
        return (
          <div key={round.number} className="round">
            <span className="meta">{rounds.length > 1 ? words.job.round(round.number) : words.job.stages}</span>
            <Strip
              tall
              label={words.job.round(round.number)}
              from={from}
              to={to}
              spans={round.stages
                .filter((stage) => !stage.kept && stage.start !== null)
                .map((stage) => {
                  const start = Date.parse(stage.start ?? "");
                  const end = stage.end ? Date.parse(stage.end) : to;
                  const took = age((end - start) / 1000);
                  return {
                    key: stage.stage,
                    start,
                    end,
                    look: `s-${stage.stage}`,
                    text: stage.stage,
                    label: `${stage.stage}: ${words.states[stage.state] ?? stage.state}, ${stage.done}/${stage.tasks}, ${took}`,
                    failed: stage.state === "failed",
                  };
                })}
            />
            <span className="meta right">
              {age((to - from) / 1000)}
              {round.stages.some((stage) => stage.kept) && ` (${round.stages.filter((stage) => stage.kept).map((stage) => stage.stage).join(", ")}: ${words.job.kept})`}
            </span>
          </div>
        );
      })}
      <Legend stages={rounds.flatMap((round) => round.stages.map((stage) => stage.stage))} />
    </div>
  );
}

function Stages({ job }: { job: Job }) {
  return (
    <ul className="plain card stages" style={{ marginTop: 16 }} aria-label={words.job.stages}>
      {job.stages.map((stage) => (
        <li key={stage.name}>
          <div className="row spread">
            <span>{stage.name}</span>
            <span className="meta">
              {stage.done}/{stage.total}
            </span>
          </div>
          <Progress value={stage.fraction} label={`${stage.name} ${percent(stage.fraction)}`} bad={stage.failed > 0} />
          <div className="meta">
            {[
              stage.running ? `${stage.running} ${words.states.running}` : "",
              stage.failed ? `${stage.failed} ${words.states.failed}` : "",
              stage.cancelled ? `${stage.cancelled} ${words.states.cancelled}` : "",
            ]
              .filter(Boolean)
              .join(", ")}
          </div>
        </li>
      ))}
    </ul>
  );
}

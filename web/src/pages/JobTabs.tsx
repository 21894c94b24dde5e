// What lies below a job's stages: its attempts, their logs, what was wished for, what happened.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { http, problemOf, type Schemas, told } from "../api";
import { age, bytes } from "../format";
import { Button, Copy, Loaded, Said, Select, State, Time } from "../parts/basic";
import { Evidence } from "../parts/Evidence";
import { useAttempts, useJobEvents, useTasks } from "../queries";
import { words } from "../words";

type Job = Schemas["JobDocument"];
type Attempt = Schemas["AttemptSummary"];

const short = (task: string) => task.split(":").slice(1).join(" ");

export function Attempts({ id }: { id: string }) {
  const attempts = useAttempts(id);
  const navigate = useNavigate({ from: "/jobs/$id" });
  return (
    <Loaded query={attempts}>
      {(data) =>
        data.items.length === 0 ? (
          <p className="meta">{words.job.noAttempts}</p>
        ) : (
          <div className="scroll" tabIndex={0} role="region" aria-label={words.job.tabs.attempts}>
            <table className="sheet">
              <thead>
                <tr>
                  <th scope="col">{words.jobs.columns.stage}</th>
                  <th scope="col">{words.jobs.columns.state}</th>
                  <th scope="col">{words.job.place}</th>
                  <th scope="col">{words.job.started}</th>
                  <th scope="col" className="right">
                    {words.job.took}
                  </th>
                  <th scope="col">{words.job.tabs.log}</th>
                  <th scope="col">{words.jobs.columns.error}</th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((one) => (
                  <tr key={`${one.task} ${one.number}`}>
                    <td>
                      {short(one.task)}
                      <div className="meta">{words.job.try(one.try_number)}</div>
                    </td>
                    <td>
                      <State name={one.outcome ?? "running"} />
                    </td>
                    <td className="mono">{one.place}</td>
                    <td>
                      <Time at={one.started_at} />
                    </td>
                    <td className="right">
                      {one.took_s === null ? "" : age(one.took_s)}
                      <div className="meta">{one.memory_bytes ? bytes(one.memory_bytes) : ""}</div>
                    </td>
                    <td>
                      {one.log_url && (
                        <Button small onClick={() => void navigate({ search: { tab: "log", attempt: `${one.task} ${one.number}` } })}>
                          {words.job.openLog}
                        </Button>
                      )}
                    </td>
                    <td className="break says">
                      {one.error && (
                        <>
                          {one.error.message} <span className="meta"><Said text={one.error.hint} /></span>
                          <Evidence evidence={one.error.evidence} />
                        </>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Loaded>
  );
}

export function Logs({ id }: { id: string }) {
  const attempts = useAttempts(id);
  const { attempt: wanted } = useSearch({ from: "/jobs/$id" });
  const navigate = useNavigate({ from: "/jobs/$id" });
  return (
    <Loaded query={attempts}>
      {(data) => {
        const logged = data.items.filter((one) => one.log_url);
        const name = (one: Attempt) => `${one.task} ${one.number}`;
        const worst = logged.find((one) => one.outcome !== null && one.outcome !== "ok");
        const one = logged.find((other) => name(other) === wanted) ?? worst ?? logged[0];
        if (!one) return <p className="meta">{words.job.noLog}</p>;
        return (
          <>
            <div className="row" style={{ marginBottom: 8, maxWidth: 420 }}>
              <Select
                label={words.job.attempt}
                value={name(one)}
                options={logged.map((other) => [name(other), `${short(other.task)}, ${words.job.attempt} ${other.number}: ${words.states[other.outcome ?? "running"] ?? ""}`] as const)}
                onChange={(attempt) => void navigate({ search: (before) => ({ ...before, attempt }), replace: true })}
              />
            </div>
            <Log key={name(one)} id={id} attempt={one} />
          </>
        );
      }}
    </Loaded>
  );
}

const TAIL = 64 * 1024;

function Log({ id, attempt: one }: { id: string; attempt: Attempt }) {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const [follows, setFollows] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const path = { job_id: id, task: one.task, number: one.number };
  useEffect(() => {
    let offset: number | undefined;
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      try {
        const query = offset === undefined ? { tail: TAIL } : { offset };
        const part = await told(http.GET("/v1/jobs/{job_id}/attempts/{task}/{number}/log", { params: { path, query } }));
        if (over) return;
        offset = part.next_offset_bytes;
        if (part.text) setText((before) => before + part.text);
        if (!part.ended) timer = setTimeout(() => void look(), 1_000);
      } catch (problem) {
        if (!over) setError(problemOf(problem).message);
      }
    };
    void look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [id, one.task, one.number]);
  useEffect(() => {
    if (follows && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, follows]);
  return (
    <>
      <div className="row" style={{ marginBottom: 8 }}>
        <label className="row">
          <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.target.checked)} /> {words.job.follow}
        </label>
        <Copy text={text} />
        <a className="button small" href={`${one.log_url ?? ""}.txt`} download>
          {words.job.download}
        </a>
      </div>
      {error && <p className="state bad">{error}</p>}
      <pre ref={box} className="log" role="region" tabIndex={0} aria-label={words.job.tabs.log}>
        {text}
      </pre>
    </>
  );
}

export function Payload({ job }: { job: Job }) {
  const tasks = useTasks(job.id);
  return (
    <Loaded query={tasks}>
      {(data) => {
        const text = JSON.stringify({ recipe: job.recipe, tasks: data.items }, null, 2);
        return (
          <>
            <Copy text={text} />
            <pre className="log" role="region" tabIndex={0} aria-label={words.job.tabs.payload} style={{ marginTop: 8 }}>
              {text}
            </pre>
          </>
        );
      }}
    </Loaded>
  );
}

export function Events({ id }: { id: string }) {
  const events = useJobEvents(id);
  return (
    <Loaded query={events}>
      {(data) => (
        <div className="scroll" tabIndex={0} role="region" aria-label={words.job.tabs.events}>
          <table className="sheet">
            <tbody>
              {data.items.map((event) => (
                <tr key={event.id}>
                  <td>
                    <Time at={event.at} />
                  </td>
                  <td>{event.kind}</td>
                  <td>{event.task ? short(event.task) : ""}</td>
                  <td className="meta break">
                    {Object.entries(event.data)
                      .filter(([name]) => !["stage", "token"].includes(name))
                      .map(([name, value]) => `${name} ${String(value)}`)
                      .join(", ")}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Loaded>
  );
}

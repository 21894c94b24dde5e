// What stands around the player: title and verbs, progress, frames, details.

import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { bytes, percent, timeCode } from "../format";
import { Button, Card, Field, Progress, Said, Select, State } from "../parts/basic";
import { attempt, Confirm, Menu, toast } from "../parts/overlay";
import { useFrames, useModels } from "../queries";
import { words } from "../words";

type Video = Schemas["VideoDocument"];

export const NO_MODEL = "captions: no model"; // of what is less than was wished for (dispatch/results.py)

export function fateOf({ state }: Video): "going" | "failed" | "cancelled" | "ended" {
  if (state === "queued" || state === "running") return "going";
  return state === "failed" || state === "cancelled" ? state : "ended";
}

const EXPORTS = [
  ["WebVTT", "vtt"],
  ["SubRip (SRT)", "srt"],
  ["JSON", "json"],
  ["JSON Lines", "jsonl"],
  ["CSV", "csv"],
] as const;

export function Head({ video, at, link }: { video: Video; at: number; link: () => void }) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<"" | "title" | "describe" | "delete">("");
  const [title, setTitle] = useState(video.title);
  const [model, setModel] = useState("");
  const [prompt, setPrompt] = useState("");
  const models = useModels();
  const describe = video.captions > 0 ? words.video.redescribe : words.video.describe;
  const describable = video.frames > 0 && video.jobs.some((job) => job.state === "succeeded");
  const close = () => setDialog("");
  const path = { params: { path: { video_id: video.id } } };
  const refresh = () => queries.invalidateQueries({ queryKey: ["video", video.id] });
  return (
    <div className="head">
      <title>{`${video.title} · ${words.product}`}</title>
      <div>
        <h1>{video.title}</h1>
        <p className="row">
          <State name={video.state} />
          <Button small look="quiet" onClick={() => setDialog("title")}>
            {words.video.editTitle}
          </Button>
        </p>
      </div>
      <div className="row">
        <Button look={video.stream_url ? "main" : undefined} onClick={link}>
          {words.video.copyLink(timeCode(at))}
        </Button>
        {video.captions > 0 && (
          <Menu
            text={words.video.export}
            choices={EXPORTS.map(([text, format]) => ({ text, href: `/v1/videos/${video.id}/captions?format=${format}&download=true` }))}
          />
        )}
        {describable && <Button onClick={() => setDialog("describe")}>{describe}</Button>}
        <Button look="danger" onClick={() => setDialog("delete")}>
          {words.video.remove}
        </Button>
      </div>
      {dialog === "title" && (
        <Confirm
          title={words.video.editTitle}
          verb={words.common.save}
          close={close}
          act={async () => {
            await told(http.PATCH("/v1/videos/{video_id}", { ...path, body: { title } }));
            await refresh();
          }}
        >
          <Field label={words.video.title}>
            <input className="input" value={title} maxLength={300} onChange={(event) => setTitle(event.target.value)} />
          </Field>
        </Confirm>
      )}
      {dialog === "describe" && (
        <Confirm
          title={describe}
          verb={describe}
          close={close}
          act={async () => {
            const wanted = model || models.data?.items[0]?.id || "";
            await told(http.POST("/v1/videos/{video_id}/redescribe", { ...path, body: { model: wanted, prompt: prompt || null } }));
            toast(words.video.made);
            await refresh();
          }}
        >
          <Field label={words.video.model}>
            <Select value={model} onChange={setModel} options={(models.data?.items ?? []).map((one) => [one.id, one.id] as const)} />
          </Field>
          <Field label={words.video.prompt}>
            <textarea className="input" rows={3} maxLength={2000} value={prompt} onChange={(event) => setPrompt(event.target.value)} />
          </Field>
        </Confirm>
      )}
      {dialog === "delete" && (
        <Confirm
          danger
          title={words.video.remove}
          text={words.video.removeText}
          verb={words.video.remove}
          close={close}
          act={async () => {
            await told(http.DELETE("/v1/videos/{video_id}", path));
            await queries.invalidateQueries({ queryKey: ["videos"] });
            await navigate({ to: "/videos" });
          }}
        />
      )}
    </div>
  );
}

export function Going({ video }: { video: Video }) {
  if (video.error) {
    const retry = () =>
      attempt(async () => {
        await told(http.POST("/v1/jobs/{job_id}/retry", { params: { path: { job_id: video.job } } }));
        await queries.invalidateQueries({ queryKey: ["video", video.id] });
      });
    return (
      <div className={video.state === "failed" ? "notice bad" : "notice"} role="alert">
        <span>
          <b>{video.error.message}</b> <Said text={video.error.hint} />
        </span>
        <div className="row">
          <Button look="main" onClick={() => void retry()}>
            {words.video.retry}
          </Button>
          <Link className="button" to="/jobs/$id" params={{ id: video.job }}>
            {words.video.openJob}
          </Link>
        </div>
      </div>
    );
  }
  if (fateOf(video) !== "going") return null;
  return (
    <div className="card row">
      <State name={video.state} />
      <div style={{ flex: 1 }}>
        <Progress value={video.progress} label={video.title} />
      </div>
      {percent(video.progress)}
      <Link to="/jobs/$id" params={{ id: video.job }}>
        {words.video.job}
      </Link>
    </div>
  );
}

export function Frames({ video, at, seek }: { video: Video; at: number; seek: (time: number) => void }) {
  const frames = useFrames(video.id);
  const items = frames.data?.pages.flatMap((page) => page.items) ?? [];
  const now = items.findLastIndex((frame) => frame.time_s <= at + 0.01);
  if (!items.length) return null;
  return (
    <Card title={words.video.frames}>
      <ul className="plain frames">
        {items.map((frame, n) => (
          <li key={frame.n}>
            <button
              type="button"
              aria-current={n === now ? "true" : undefined}
              aria-label={words.video.frameAt(timeCode(frame.time_s))}
              title={frame.caption ?? undefined}
              onClick={() => seek(frame.time_s)}
            >
              <img src={`${frame.url}?width=160`} alt="" loading="lazy" />
              <span className="mono">{timeCode(frame.time_s)}</span>
            </button>
          </li>
        ))}
      </ul>
      {frames.hasNextPage && <Button onClick={() => void frames.fetchNextPage()}>{words.common.more}</Button>}
    </Card>
  );
}

export function Details({ video }: { video: Video }) {
  const [tag, setTag] = useState("");
  const save = (tags: string[]) =>
    attempt(async () => {
      await told(http.PATCH("/v1/videos/{video_id}", { params: { path: { video_id: video.id } }, body: { tags } }));
      await queries.invalidateQueries({ queryKey: ["video", video.id] });
    });
  const size = video.width_px === null ? "" : `${video.width_px} × ${video.height_px}`;
  const rows: [string, React.ReactNode][] = [
    [words.jobs.columns.name, video.name],
    ["", [size, video.duration_s === null ? "" : timeCode(video.duration_s), bytes(video.size_bytes)].filter(Boolean).join(" · ")],
    ["", video.renditions.map((one) => `${one.name} ${bytes(one.bytes)}`).join(" · ")],
    ["", video.degraded.filter((note) => note !== NO_MODEL).join(" ")],
    ...Object.entries(video.metadata),
  ];
  return (
    <Card title={words.video.details}>
      <dl className="facts">
        {rows
          .filter(([, value]) => value !== "")
          .map(([name, value], n) => (
            <div key={n}>
              <dt className="meta">{name}</dt>
              <dd className="break">{value}</dd>
            </div>
          ))}
        <div>
          <dt className="meta">{words.video.job}</dt>
          <dd>
            <ul className="plain">
              {video.jobs.map((job) => (
                <li key={job.id} className="row">
                  <Link className="mono break" to="/jobs/$id" params={{ id: job.id }}>
                    {job.id}
                  </Link>
                  <State name={job.state} />
                  <span className="meta">{job.model}</span>
                </li>
              ))}
            </ul>
          </dd>
        </div>
        <div>
          <dt className="meta">{words.video.tags}</dt>
          <dd className="row">
            {video.tags.map((one) => (
              <button key={one} type="button" className="chip" aria-label={words.video.removeTag(one)} onClick={() => void save(video.tags.filter((other) => other !== one))}>
                {one} <span aria-hidden="true">✕</span>
              </button>
            ))}
            <form
              className="row"
              onSubmit={(event) => {
                event.preventDefault();
                if (tag.trim()) void save([...new Set([...video.tags, tag.trim()])]).then(() => setTag(""));
              }}
            >
              <input className="input" style={{ width: 140 }} aria-label={words.video.addTag} placeholder={words.video.addTag} value={tag} onChange={(event) => setTag(event.target.value)} />
            </form>
          </dd>
        </div>
      </dl>
    </Card>
  );
}

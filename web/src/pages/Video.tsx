import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Schemas } from "../api";
import { timeCode } from "../format";
import { Button, copyText, ErrorPage, Loaded, Skeleton } from "../parts/basic";
import { toast } from "../parts/overlay";
import { Strip, type StripSpan } from "../parts/Strip";
import { useCaptions, useVideo } from "../queries";
import { words } from "../words";
import { Details, fateOf, Frames, Going, Head, NO_MODEL } from "./VideoParts";
import { Typed } from "./Videos";

type Video = Schemas["VideoDocument"];
type Caption = Schemas["CaptionDocument"];

export default function VideoPage() {
  const { id } = useParams({ from: "/videos/$id" });
  const video = useVideo(id);
  if (!video.data) return video.error ? <ErrorPage error={video.error} again={() => void video.refetch()} /> : <Skeleton lines={6} height={32} />;
  return <Watch key={id} video={video.data} />;
}

function Watch({ video }: { video: Video }) {
  const search = useSearch({ from: "/videos/$id" });
  const navigate = useNavigate({ from: "/videos/$id" });
  const captions = useCaptions(video.id, video.captions > 0);
  const items = useMemo(() => captions.data?.items ?? [], [captions.data]);
  const player = useRef<HTMLVideoElement>(null);
  const [at, setAt] = useState(search.t ?? 0);
  const q = search.q ?? "";
  const hits = useMemo(() => items.filter((caption) => fits(caption, q)), [items, q]);

  const seek = useCallback((time: number) => {
    setAt(time);
    if (player.current) player.current.currentTime = time;
  }, []);

  // A link to a moment, also one that was followed on this very page.
  useEffect(() => {
    if (search.t !== undefined) seek(search.t);
  }, [search.t, seek]);

  useKeys(player, items, at, seek);

  const length = video.duration_s ?? items.at(-1)?.end_s ?? 0;
  const spans = useMemo(() => strip(items, at, q), [items, at, q]);
  const nowHit = hits.findIndex((hit) => at >= hit.start_s && at < hit.end_s);
  const step = (by: number) => {
    const before = hits.findLastIndex((hit) => hit.start_s <= at + 0.01);
    const next = nowHit >= 0 ? nowHit + by : by > 0 ? before + 1 : before;
    const hit = hits[(next + hits.length) % hits.length];
    if (hit) seek(hit.start_s);
  };
  const link = () => {
    const url = new URL(location.href);
    url.searchParams.set("t", at.toFixed(1));
    void copyText(url.href).then(() => toast(words.common.copied));
  };
  return (
    <>
      <Head video={video} at={at} link={link} />
      <div className="watch">
        <div className="stack">
          {video.stream_url ? (
            <video
              ref={player}
              controls
              playsInline
              preload="metadata"
              src={video.stream_url}
              poster={search.t ? undefined : (video.poster_url ?? undefined)}
              aria-label={video.title}
              onTimeUpdate={(event) => setAt(event.currentTarget.currentTime)}
              onLoadedMetadata={(event) => {
                if (search.t !== undefined) event.currentTarget.currentTime = search.t;
              }}
            >
              {video.captions_url && <track kind="captions" srcLang="en" label={words.video.captions} src={video.captions_url} />}
            </video>
          ) : (
            <div className="no-stream">{words.video.noStream[fateOf(video)]}</div>
          )}
          {items.length > 0 && (
            <Strip
              tall
              label={words.video.strip}
              from={0}
              to={length}
              spans={spans}
              playhead={at}
              choose={(span) => seek(span.start)}
              seek={seek}
            />
          )}
          <Going video={video} />
          <Frames video={video} at={at} seek={seek} />
          <Details video={video} />
        </div>
        <section className="card captions" aria-label={words.video.captions}>
          <div className="row">
            <Typed value={q} label={words.video.search} wide change={(text) => void navigate({ search: (before) => ({ ...before, q: text || undefined }), replace: true })} />
          </div>
          {q && captions.data && (
            <div className="row spread meta" style={{ margin: "6px 0" }}>
              <span role="status">{words.video.hits(nowHit + 1, hits.length)}</span>
              <span className="row">
                <Button small disabled={!hits.length} onClick={() => step(-1)} aria-label={words.video.previous}>
                  <span aria-hidden="true">↑</span>
                </Button>
                <Button small disabled={!hits.length} onClick={() => step(1)} aria-label={words.video.next}>
                  <span aria-hidden="true">↓</span>
                </Button>
              </span>
            </div>
          )}
          {video.captions > 0 ? (
            <Loaded query={captions}>{() => <Captions items={items} at={at} q={q} seek={seek} />}</Loaded>
          ) : (
            <p className="meta">{wordless(video)}</p>
          )}
        </section>
      </div>
    </>
  );
}

/** Why there are no captions: "yet" only while some can come. */
function wordless(video: Video): string {
  const texts = words.video.noCaptions;
  if (video.jobs.find((job) => job.id === video.job)?.model === null) return video.degraded.includes(NO_MODEL) ? texts.missing : texts.unasked;
  return texts[fateOf(video)];
}

const fold = (text: string) => text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase();

/** As the search reads words: all of them, the last may be unfinished. */
export function fits(caption: Caption, q: string): boolean {
  const wanted = fold(q).match(/[\p{L}\p{N}]+/gu) ?? [];
  if (!wanted.length) return false;
  const there = fold(caption.text).match(/[\p{L}\p{N}]+/gu) ?? [];
  return wanted.every((word, n) => there.some((one) => (n === wanted.length - 1 ? one.startsWith(word) : one === word)));
}

function strip(items: Caption[], at: number, q: string): StripSpan[] {
  return items.map((caption, n) => {
    const hit = q !== "" && fits(caption, q);
    return {
      key: String(n),
      start: caption.start_s,
      end: caption.end_s,
      look: hit ? "s-hit" : "s-describe",
      label: `${timeCode(caption.start_s)} ${caption.text}`,
      dim: q !== "" && !hit,
      current: at >= caption.start_s && at < caption.end_s,
    };
  });
}

function useKeys(player: React.RefObject<HTMLVideoElement | null>, items: Caption[], at: number, seek: (time: number) => void) {
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "TEXTAREA", "SELECT", "BUTTON", "A", "VIDEO"].includes(target.tagName)) {
        if (!["[", "]"].includes(event.key) || target.tagName === "INPUT") return;
      }
      const video = player.current;
      const next = items.find((caption) => caption.start_s > at + 0.01);
      const before = items.findLast((caption) => caption.start_s < at - 0.5);
      if (event.key === "]" && next) seek(next.start_s);
      else if (event.key === "[") seek(before?.start_s ?? 0);
      else if (!video) return;
      else if (event.key === " ") void (video.paused ? video.play() : video.pause());
      else if (event.key === "ArrowRight") seek(Math.min(video.duration || 0, at + 5));
      else if (event.key === "ArrowLeft") seek(Math.max(0, at - 5));
      else if (event.key === ".") seek(at + 1 / 25);
      else if (event.key === ",") seek(Math.max(0, at - 1 / 25));
      else if (event.key === "f") void video.requestFullscreen();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  }, [player, items, at, seek]);
}

function Captions({ items, at, q, seek }: { items: Caption[]; at: number; q: string; seek: (time: number) => void }) {
  const list = useRef<HTMLOListElement>(null);
  const touched = useRef(0);
  const now = items.findIndex((caption) => at >= caption.start_s && at < caption.end_s);
  useEffect(() => {
    // Who reads elsewhere is not pulled back.
    if (Date.now() - touched.current < 4_000 || list.current?.contains(document.activeElement)) return;
    const line = list.current?.children[now] as HTMLElement | undefined;
    if (line && list.current) list.current.scrollTop = line.offsetTop - list.current.clientHeight / 3;
  }, [now]);
  return (
    <ol
      className="plain lines"
      ref={list}
      onWheel={() => (touched.current = Date.now())}
      onTouchMove={() => (touched.current = Date.now())}
    >
      {items.map((caption, n) => (
        <li key={n}>
          <button type="button" aria-current={n === now ? "true" : undefined} onClick={() => seek(caption.start_s)}>
            <span className="mono">{timeCode(caption.start_s)}</span>
            <span className="break">{q && fits(caption, q) ? <mark>{caption.text}</mark> : caption.text}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import type { Schemas } from "../api";
import { percent, timeCode } from "../format";
import { Button, Empty, Loaded, PageHead, State, Time } from "../parts/basic";
import { choose, usePrefs } from "../prefs";
import { useVideos, type VideoSearch } from "../queries";
import { uploads } from "../upload/uploads";
import { words } from "../words";

const STATES = ["queued", "running", "succeeded", "failed", "cancelled"] as const;

export default function Videos() {
  const filter = useSearch({ from: "/videos" });
  const navigate = useNavigate({ from: "/videos" });
  const { view } = usePrefs();
  const videos = useVideos(filter);
  const set = (change: VideoSearch) => void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return (
    <>
      <PageHead title={words.videos.title}>
        <Button look="main" onClick={() => uploads.pick()}>
          {words.overview.add}
        </Button>
      </PageHead>
      <div className="row filters">
        <Typed value={filter.q ?? ""} label={words.videos.search} change={(q) => set({ q: q || undefined })} />
        {STATES.map((state) => (
          <button
            key={state}
            type="button"
            className="chip"
            aria-pressed={filter.state?.includes(state) ?? false}
            onClick={() => set({ state: filter.state?.includes(state) ? undefined : [state] })}
          >
            {words.states[state]}
          </button>
        ))}
        {filter.tag?.map((tag) => (
          <button key={tag} type="button" className="chip" aria-pressed="true" onClick={() => set({ tag: undefined })}>
            #{tag} ✕
          </button>
        ))}
        <span className="row" style={{ marginLeft: "auto" }}>
          {(["grid", "list"] as const).map((one) => (
            <button key={one} type="button" className="chip" aria-pressed={view === one} onClick={() => choose({ view: one })}>
              {words.videos[one]}
            </button>
          ))}
        </span>
      </div>
      <Loaded query={videos} lines={6}>
        {(data) => {
          const items = data.pages.flatMap((page) => page.items);
          if (!items.length) {
            const filtered = Boolean(filter.q || filter.state || filter.tag);
            return filtered ? (
              <Empty title={words.videos.noMatch}>
                <Button onClick={() => void navigate({ search: {} })}>{words.common.clear}</Button>
              </Empty>
            ) : (
              <Empty title={words.videos.empty} text={words.videos.emptyNext} command="vidprocme submit VIDEO" />
            );
          }
          return (
            <>
              <ul className={`plain ${view === "grid" ? "posters" : "video-list"}`}>
                {items.map((video) => (
                  <Poster key={video.id} video={video} />
                ))}
              </ul>
              {videos.hasNextPage && (
                <p style={{ marginTop: 16 }}>
                  <Button disabled={videos.isFetchingNextPage} onClick={() => void videos.fetchNextPage()}>
                    {words.videos.more}
                  </Button>
                </p>
              )}
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function Poster({ video }: { video: Schemas["VideoSummary"] }) {
  const going = video.state === "queued" || video.state === "running";
  return (
    <li>
      <Link to="/videos/$id" params={{ id: video.id }} className="poster">
        <span className="still">
          {video.poster_url && <img src={video.poster_url} alt="" loading="lazy" />}
          {video.duration_s !== null && <span className="length mono">{timeCode(video.duration_s)}</span>}
        </span>
        <span className="under">
          <span className="break title">{video.title}</span>
          <span className="meta row">
            <State name={video.state} text={going && video.progress > 0 ? `${words.states[video.state] ?? ""}, ${percent(video.progress)}` : undefined} />
            {video.captions > 0 && words.videos.captions(video.captions)}
            <Time at={video.created_at} relative />
          </span>
          {video.error && <span className="meta break">{video.error.message}</span>}
        </span>
      </Link>
    </li>
  );
}

/** A field whose text becomes part of the address when somebody stops typing. */
export function Typed({ value, label, change, wide }: { value: string; label: string; change: (value: string) => void; wide?: boolean }) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    // Whoever is on the way to another page is not called back: the address is that page's already.
    const page = location.pathname;
    timer.current = setTimeout(() => {
      if (location.pathname === page) change(text);
    }, 250);
    return () => clearTimeout(timer.current);
    // What `change` does follows from the text alone.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [text]);
  return (
    <input
      data-find
      type="search"
      className="input find"
      style={wide ? { maxWidth: "none" } : undefined}
      value={text}
      placeholder={label}
      aria-label={label}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => {
        if (event.key !== "Enter") return;
        clearTimeout(timer.current);
        change(text);
      }}
    />
  );
}

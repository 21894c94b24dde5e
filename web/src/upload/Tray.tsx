// Drop files anywhere; a tray says how far each is.

import { Link } from "@tanstack/react-router";
import { useEffect, useState, useSyncExternalStore } from "react";
import { Button, Progress, Said, Select } from "../parts/basic";
import { age, bytes, percent } from "../format";
import { useJob, useUnfinished } from "../queries";
import { words } from "../words";
import { begun, type Item, uploads } from "./uploads";

export const useUploads = () =>
  useSyncExternalStore(
    (watcher) => uploads.watch(watcher),
    () => uploads.items,
  );

const withFiles = (event: DragEvent) => [...(event.dataTransfer?.types ?? [])].includes("Files");

export function Tray() {
  const items = useUploads();
  const [over, setOver] = useState(false);
  const [hidden, setHidden] = useState(false);
  const left = useLeft();
  const failed = items.filter((item) => item.state === "failed").length;
  useEffect(() => setHidden(false), [uploads.added, failed]);
  const going = items.filter((item) => !isOver(item));
  const ended = going.length === 0;
  useEffect(() => {
    const enter = (event: DragEvent) => {
      if (!withFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent) => {
      if (!withFiles(event)) return;
      event.preventDefault();
      setOver(false);
      uploads.add([...(event.dataTransfer?.files ?? [])]);
    };
    document.addEventListener("dragenter", enter);
    document.addEventListener("dragover", enter);
    document.addEventListener("dragleave", leave);
    document.addEventListener("drop", drop);
    return () => {
      document.removeEventListener("dragenter", enter);
      document.removeEventListener("dragover", enter);
      document.removeEventListener("dragleave", leave);
      document.removeEventListener("drop", drop);
    };
  }, []);
  return (
    <>
      {over && (
        <div className="dropping" aria-hidden="true">
          <span>{words.upload.drop}</span>
        </div>
      )}
      {hidden && !ended && (
        <section className="tray card" aria-label={words.upload.title}>
          <div className="row spread">
            <h2>
              {words.upload.title} <span className="meta">{words.upload.going(going.length, percent(shareOf(going)))}</span>
            </h2>
            <Button small look="quiet" onClick={() => setHidden(false)}>
              {words.upload.show}
            </Button>
          </div>
        </section>
      )}
      {(items.length > 0 || left.length > 0) && !hidden && (
        <section className="tray card" aria-label={words.upload.title}>
          <div className="row spread">
            <h2>{words.upload.title}</h2>
            <Button
              small
              look="quiet"
              onClick={() => {
                if (ended) uploads.clear();
                setHidden(true);
              }}
            >
              {words.upload.hide}
            </Button>
          </div>
          <div className="row" style={{ marginBottom: 8 }}>
            <Select
              label={words.upload.bin}
              value={uploads.wishes.bin}
              options={["urgent", "high", "normal", "bulk"].map((bin) => [bin, `${words.upload.bin}: ${bin}`] as const)}
              onChange={(bin) => uploads.wish({ bin })}
            />
            <Select
              label={words.upload.preset}
              value={uploads.wishes.preset}
              options={["", "web", "small", "full", "frames"].map((preset) => [preset, `${words.upload.preset}: ${preset || words.upload.asItComes}`] as const)}
              onChange={(preset) => uploads.wish({ preset })}
            />
          </div>
          {left.length > 0 && (
            <div className="upload">
              <span className="meta">{words.upload.unfinished}</span>
              {left.map((one) => (
                <div key={one.id} className="row spread">
                  <span className="cut name">
                    {one.name} <span className="meta">{percent(one.offset_bytes / Math.max(1, one.size_bytes))}</span>
                  </span>
                  <Button small onClick={() => uploads.pick()}>
                    {words.upload.choose}
                    <span className="only-read"> {one.name}</span>
                  </Button>
                </div>
              ))}
            </div>
          )}
          <ul className="plain">
            {items.map((item) => (
              <Line key={item.key} item={item} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** What this browser began and did not end: after a reload the file itself has to be chosen again. */
function useLeft() {
  const ours = begun();
  const { data } = useUnfinished(ours.size > 0);
  return (data?.items ?? []).filter((one) => ours.has(one.id) && one.state === "receiving" && !uploads.knows(one.name, one.size_bytes));
}

const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0);
const shareOf = (items: Item[]) => sum(items.map((item) => item.sent)) / Math.max(1, sum(items.map((item) => item.size)));

const isOver = (item: Item) => item.state === "done" || item.state === "failed";

// Read aloud when it comes; how far it is would be read aloud without an end.
const ROLES: Partial<Record<Item["state"], "alert" | "status">> = { failed: "alert", lost: "status", paused: "status" };

function Line({ item }: { item: Item }) {
  const share = item.size ? item.sent / item.size : 0;
  const busy = item.state === "sending" || item.state === "lost" || item.state === "waiting";
  return (
    <li className="upload">
      <div className="row spread">
        <span className="cut name" title={item.name}>
          {item.name}
        </span>
        <span className="row">
          {busy && (
            <Button small onClick={() => uploads.pause(item.key)} aria-label={words.upload.pause(item.name)}>
              <span aria-hidden="true">❚❚</span>
            </Button>
          )}
          {(item.state === "paused" || item.state === "failed") && item.size > 0 && (
            <Button small onClick={() => uploads.resume(item.key)} aria-label={words.upload.resume(item.name)}>
              <span aria-hidden="true">▶</span>
            </Button>
          )}
          <Button small look="quiet" onClick={() => uploads.remove(item.key)} aria-label={words.upload.remove(item.name)}>
            <span aria-hidden="true">✕</span>
          </Button>
        </span>
      </div>
      <Progress value={share} label={item.name} bad={item.state === "failed"} />
      <div className="meta" role={ROLES[item.state]}>
        <What item={item} share={share} />
      </div>
    </li>
  );
}

function What({ item, share }: { item: Item; share: number }) {
  switch (item.state) {
    case "waiting":
      return <>{words.upload.waiting}</>;
    case "paused":
      return (
        <>
          {words.upload.paused}, {percent(share)}
        </>
      );
    case "lost":
      return (
        <span className="state warn" style={{ whiteSpace: "normal" }}>
          <span aria-hidden="true">↯</span> {item.error ? `${item.error} ${words.upload.goesOn}` : words.upload.lost(bytes(item.sent))}
        </span>
      );
    case "checking":
      return <>{words.upload.checking}</>;
    case "failed":
      return (
        <span className="state bad" style={{ whiteSpace: "normal" }}>
          <span aria-hidden="true">✕</span> {item.error} <Said text={item.hint} />
        </span>
      );
    case "done":
      return <Outcome job={item.job} video={item.video} />;
    default:
      return (
        <>
          {percent(share)} {item.bytesPerS > 0 && words.upload.rate(bytes(item.bytesPerS), age((item.size - item.sent) / item.bytesPerS))}
        </>
      );
  }
}

/** What becomes of it after it has arrived: a broken file is told here too. */
function Outcome({ job, video }: { job: string; video: string }) {
  const { data } = useJob(job);
  if (data?.error && data.state === "failed") {
    return (
      <span className="state bad" style={{ whiteSpace: "normal" }}>
        <span aria-hidden="true">✕</span> {data.error.message}{" "}
        <Link to="/jobs/$id" params={{ id: job }}>
          {words.upload.open}
        </Link>
      </span>
    );
  }
  return (
    <span className="row">
      {data?.state === "succeeded" ? words.states.succeeded : `${words.upload.done} ${data ? percent(data.progress) : ""}`}
      <Link to="/videos/$id" params={{ id: video || data?.video || "" }}>
        {words.upload.open}
      </Link>
    </span>
  );
}

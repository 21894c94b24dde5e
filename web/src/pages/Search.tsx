import { Link, useNavigate, useSearch as useParams } from "@tanstack/react-router";
import type { Schemas } from "../api";
import { marked, timeCode } from "../format";
import { Button, Empty, Loaded, PageHead } from "../parts/basic";
import { useSearch } from "../queries";
import { words } from "../words";
import { Typed } from "./Videos";

type Hit = Schemas["HitDocument"];

export default function Search() {
  const { q = "" } = useParams({ from: "/search" });
  const navigate = useNavigate({ from: "/search" });
  const found = useSearch(q);
  return (
    <>
      <PageHead title={words.search.title} />
      <div className="row filters">
        <Typed value={q} label={words.search.box} wide change={(text) => void navigate({ search: text ? { q: text } : {}, replace: true })} />
      </div>
      {q.trim() === "" ? (
        <Empty title={words.search.empty} text={words.search.emptyNext} />
      ) : (
        <Loaded query={found}>
          {(data) => {
            const groups = byVideo(data.pages.flatMap((page) => page.items));
            if (!groups.length) return <Empty title={words.search.noHits} text={words.search.noHitsNext} />;
            return (
              <div className="stack" onKeyDown={arrows}>
                {groups.map((hits) => (
                  <Group key={hits[0]?.video_id} hits={hits} q={q} />
                ))}
                {found.hasNextPage && <Button onClick={() => void found.fetchNextPage()}>{words.search.more}</Button>}
              </div>
            );
          }}
        </Loaded>
      )}
    </>
  );
}

/** In the order of each video's best moment; its moments by time. */
function byVideo(hits: Hit[]): Hit[][] {
  const groups = new Map<string, Hit[]>();
  for (const hit of hits) groups.set(hit.video_id, [...(groups.get(hit.video_id) ?? []), hit]);
  return [...groups.values()].map((group) => group.toSorted((a, b) => a.start_s - b.start_s));
}

function arrows(event: React.KeyboardEvent<HTMLElement>) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("a.moment")];
  const next = links.indexOf(document.activeElement as HTMLElement) + (event.key === "ArrowDown" ? 1 : -1);
  if (next >= 0 && next < links.length) {
    event.preventDefault();
    links[next]?.focus();
  }
}

function Group({ hits, q }: { hits: Hit[]; q: string }) {
  const first = hits[0];
  if (!first) return null;
  return (
    <section className="card" aria-label={first.title}>
      <div className="row spread">
        <h2 className="break">
          <Link to="/videos/$id" params={{ id: first.video_id }} search={{ q }}>
            {first.title}
          </Link>
        </h2>
        <span className="meta">{words.search.moments(hits.length)}</span>
      </div>
      <ul className="plain moments">
        {hits.map((hit) => (
          <li key={hit.start_s}>
            <Link className="moment" to="/videos/$id" params={{ id: hit.video_id }} search={{ t: Math.round(hit.start_s * 10) / 10, q }}>
              <span className="still"><img src={hit.frame_url} alt="" loading="lazy" /></span>
              <span className="mono">{timeCode(hit.start_s)}</span>
              <span className="break">
                {marked(hit.snippet).map((piece, n) => (piece.hit ? <mark key={n}>{piece.text}</mark> : <span key={n}>{piece.text}</span>))}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

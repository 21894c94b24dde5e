// What the API says of itself, for people: made here of openapi.json, with nothing loaded from elsewhere.

import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { problemOf } from "../api";
import { Card, Empty, Loaded, PageHead } from "../parts/basic";
import { words } from "../words";

interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
}
interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}
type Content = Record<string, { schema?: Schema }>;
interface Operation {
  operationId: string;
  description?: string;
  summary?: string;
  parameters?: Parameter[];
  requestBody?: { content?: Content };
  responses: Record<string, { description?: string; content?: Content }>;
}
interface Description {
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
}
interface Route extends Operation {
  method: string;
  path: string;
}

const route = getRouteApi("/docs");
const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];

const useDescription = () =>
  useQuery({
    queryKey: ["openapi"],
    staleTime: Infinity,
    queryFn: async () => {
      const answer = await fetch("/v1/openapi.json");
      if (!answer.ok) throw problemOf(await answer.json(), answer.status);
      return (await answer.json()) as Description;
    },
  });

/** `string`, `JobState[]`, `number | null`: a schema in a few words. */
export function typeName(schema: Schema | undefined): string {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.replace(/.*\//, "");
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.type === "array") return `${typeName(schema.items) || "any"}[]`;
  return [schema.type].flat().join(" | ") || "any";
}

/** Routes by their second part: `/v1/jobs/{job_id}` stands under `jobs`. */
export function grouped(paths: Description["paths"], q: string): [string, Route[]][] {
  const wanted = q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = new Map<string, Route[]>();
  for (const [path, operations] of Object.entries(paths)) {
    for (const method of METHODS) {
      const operation = operations[method];
      if (!operation) continue;
      const told = `${method} ${path} ${operation.operationId} ${operation.description ?? ""}`.toLowerCase();
      if (!wanted.every((word) => told.includes(word))) continue;
      const name = (path.startsWith("/v1/") ? path.split("/")[2] : path.split("/")[1])?.split(":")[0] ?? "";
      found.set(name, [...(found.get(name) ?? []), { ...operation, method, path }]);
    }
  }
  return [...found].sort(([a], [b]) => a.localeCompare(b));
}

export default function Docs() {
  const description = useDescription();
  const { q = "" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <PageHead title={words.docs.title} text={words.docs.text}>
        <a className="button" href="/v1/openapi.json">
          {words.docs.raw}
        </a>
      </PageHead>
      <div className="filters">
        <input
          className="input find"
          type="search"
          data-find
          aria-label={words.docs.find}
          placeholder={words.docs.find}
          value={q}
          onChange={(event) => void navigate({ search: { q: event.target.value || undefined }, replace: true })}
        />
      </div>
      <Loaded query={description}>
        {(data) => {
          const groups = grouped(data.paths, q);
          if (groups.length === 0) return <Empty title={words.docs.none} text="" />;
          return (
            <div className="stack">
              {groups.map(([name, routes]) => (
                <Card key={name} title={name} aside={<span className="meta">{words.docs.count(routes.length)}</span>}>
                  {routes.map((one) => (
                    <RouteDoc key={`${one.method} ${one.path}`} route={one} />
                  ))}
                </Card>
              ))}
            </div>
          );
        }}
      </Loaded>
    </>
  );
}

function RouteDoc({ route: one }: { route: Route }) {
  const sends = Object.entries(one.requestBody?.content ?? {});
  return (
    <details className="route">
      <summary>
        <span className="mono method">{one.method.toUpperCase()}</span> <span className="mono break">{one.path}</span>{" "}
        <span className="meta">{one.operationId}</span>
      </summary>
      <div className="stack route-body">
        {one.description && <p className="route-text">{one.description}</p>}
        {one.parameters && one.parameters.length > 0 && (
          <Rows
            title={words.docs.parameters}
            rows={one.parameters.map((given) => [
              given.name,
              `${given.in}, ${typeName(given.schema)}${given.required ? `, ${words.docs.required}` : ""}`,
              given.description ?? "",
            ])}
          />
        )}
        {sends.length > 0 && <Rows title={words.docs.sends} rows={sends.map(([type, body]) => [type, typeName(body.schema), ""])} />}
        <Rows
          title={words.docs.answers}
          rows={Object.entries(one.responses).map(([status, answer]) => [
            status,
            Object.values(answer.content ?? {})
              .map((body) => typeName(body.schema))
              .filter((name) => name && name !== "any")
              .join(", "),
            answer.description ?? "",
          ])}
        />
      </div>
    </details>
  );
}

function Rows({ title, rows }: { title: string; rows: [string, string, string][] }) {
  return (
    <table className="sheet">
      <caption className="meta">{title}</caption>
      <tbody>
        {rows.map(([name, type, text]) => (
          <tr key={name}>
            <th scope="row" className="mono">
              {name}
            </th>
            <td className="mono break">{type}</td>
            <td className="break">{text}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

import { words } from "../words";

/** What was seen when something broke, folded. */
export function Evidence({ evidence }: { evidence: Record<string, unknown> }) {
  if (!Object.keys(evidence).length) return null;
  const text = Object.entries(evidence)
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? `\n  ${value.join("\n  ")}` : typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("\n");
  return (
    <details>
      <summary className="meta">{words.job.evidence}</summary>
      <pre>{text}</pre>
    </details>
  );
}

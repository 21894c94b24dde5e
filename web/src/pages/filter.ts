// The filter as a person types it: words to look for, and key:value for the rest.

import type { JobSearch } from "../queries";

const LISTS = ["stage", "code", "tenant"] as const;
const WORDS = ["name", "since", "until"] as const;
const CHIPS = ["state", "bin"] as const;

export function readFilter(text: string): JobSearch {
  const found: JobSearch = { stage: undefined, code: undefined, tenant: undefined, name: undefined, until: undefined, q: undefined };
  const rest: string[] = [];
  for (const word of text.match(/\S+:"[^"]*"|\S+/g) ?? []) {
    const [, key = "", raw = ""] = /^(\w+):(.+)$/.exec(word) ?? [];
    const value = raw.replaceAll('"', "");
    const list = [...LISTS, ...CHIPS].find((name) => name === key);
    const single = WORDS.find((name) => name === key);
    if (list && value) found[list] = [...(found[list] ?? []), value];
    else if (single && value) found[single] = value;
    else rest.push(word);
  }
  return { ...found, q: rest.join(" ") || undefined };
}

/** What of the filter has no chip of its own. */
export function writeFilter(filter: JobSearch): string {
  const quoted = (value: string) => (/\s/.test(value) ? `"${value}"` : value);
  const single = (["name", "until"] as const).flatMap((name) => (filter[name] ? [`${name}:${quoted(filter[name])}`] : []));
  return [...single, ...LISTS.flatMap((name) => (filter[name] ?? []).map((value) => `${name}:${quoted(value)}`)), filter.q ?? ""]
    .filter(Boolean)
    .join(" ");
}

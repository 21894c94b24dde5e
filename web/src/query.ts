// The part of an address after `?`: lists as people and the API write them, `state=failed&state=dead`, instead of JSON.

type Raw = Record<string, unknown>;

export function parseSearch(query: string): Raw {
  const found: Record<string, string | string[]> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    const there = found[name];
    found[name] = there === undefined ? value : [...(Array.isArray(there) ? there : [there]), value];
  }
  return found;
}

/** Where a path of the API's leads, for the router. */
export function linkOf(path: string): { to: string; search: Raw } {
  const [to = "/", query = ""] = path.split("?");
  return { to, search: parseSearch(query) };
}

export function writeSearch(search: Raw): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") query.append(name, String(one));
    }
  }
  const written = query.toString();
  return written ? `?${written}` : "";
}

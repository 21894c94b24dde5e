/** What may stand behind the `?` of each page, with its type. What is not understood is left out, so that an old link still opens. */
type Given = Record<string, unknown>

export const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined)
export const numeral = (value: unknown): number | undefined => (value === undefined || value === '' || !Number.isFinite(Number(value)) ? undefined : Number(value))
export function several(value: unknown): string[] | undefined {
  const all = (Array.isArray(value) ? value : [value]).map(text).filter((one) => one !== undefined)
  return all.length ? all : undefined
}
const oneOf = <T extends string>(value: unknown, ...known: T[]): T | undefined => known.find((one) => one === value)


/** Without what is not given: an address holds only what somebody chose. */
function some<T extends Given>(found: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/** `?state=failed&state=dead&t=7`: as the API's own queries are written, so that people can read and change them. */
export function parse(query: string): Given {
  const found: Record<string, string | string[]> = {}
  for (const [key, value] of new URLSearchParams(query)) {
    const before = found[key]
    found[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value]
  }
  return found
}

export function write(search: Given): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(search)) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one !== undefined && one !== null && one !== '') query.append(key, String(one))
    }
  }
  const text = query.toString()
  return text ? `?${text}` : ''
}

export const none = (_given: Given) => ({})
export const videos = (given: Given) => some({ q: text(given.q), state: several(given.state), tag: several(given.tag), view: oneOf(given.view, 'grid', 'list') })
export const video = (given: Given) => some({ t: numeral(given.t), q: text(given.q) })
export const search = (given: Given) => some({ q: text(given.q), video: text(given.video) })
export const jobs = (given: Given) => some({
  state: several(given.state), bin: several(given.bin), tenant: several(given.tenant), stage: several(given.stage), code: several(given.code),
  video: several(given.video), name: text(given.name), q: text(given.q), since: text(given.since), until: text(given.until), sort: text(given.sort),
})
export const job = (given: Given) => some({ attempt: text(given.attempt), tab: text(given.tab) })
export const fleet = (given: Given) => some({ window: numeral(given.window) })
export const alerts = (given: Given) => some({ tab: text(given.tab) })
export const settings = (given: Given) => some({ tab: text(given.tab) })

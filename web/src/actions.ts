/** What more than one page can do. Each says what was done, renews what is shown, and throws a Problem when it was refused. */
import { api, ask, type Schemas } from './api'
import { toast } from './parts/Toast'
import { queryClient } from './queries'
import { words } from './words'

const renew = (...names: string[]) => Promise.all(names.map((name) => queryClient.invalidateQueries({ queryKey: [name] })))

export async function setPaused(bin: Schemas['BinDocument'], paused: boolean): Promise<void> {
  await ask(api.PATCH('/v1/bins/{name}', { params: { path: { name: bin.name } }, body: { paused } }))
  const name = words.bins[bin.name] ?? bin.name
  toast(paused ? words.overview.pausedNow(name) : words.overview.resumed(name))
  await renew('bins', 'overview')
}

export async function setDrained(node: string, drained: boolean): Promise<void> {
  const params = { path: { node } }
  await ask(drained ? api.POST('/v1/nodes/{node}/drain', { params }) : api.POST('/v1/nodes/{node}/undrain', { params }))
  toast(drained ? words.fleet.drained(node) : words.fleet.undrained(node))
  await renew('fleet', 'overview')
}

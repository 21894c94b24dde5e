/** Live events renew what is kept: documents that come whole are put in place, of others their name is asked anew. */
import type { QueryClient, QueryKey } from '@tanstack/react-query'
import type { Live, LiveEvent } from './live'

/** Names of what an event makes old. The diary's kinds are those of core/event.py. */
export function touched(event: LiveEvent): QueryKey[] {
  if (event.type === 'alert') return [['alerts']]
  if (event.type !== 'diary') return []
  const { kind, job } = event.data as { kind: string; job: string }
  if (kind.startsWith('bin.')) return [['bins'], ['overview']]
  const keys: QueryKey[] = job ? [['job', job]] : []
  // What a job is changes with these; tasks that move change only how far it is.
  if (kind.startsWith('job.') || kind === 'dead.warning') keys.push(['jobs'], ['videos'], ['video'])
  else if (kind === 'task.succeeded') keys.push(['jobs'], ['video'])
  if (kind.startsWith('task.')) keys.push(['lanes'])
  return keys
}

const EVERY_MS = 700

/** Renew as events come; of many in a short time, once. */
export function renewFrom(live: Live, client: QueryClient): () => void {
  const waiting = new Map<string, QueryKey>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const flush = () => {
    timer = undefined
    const keys = [...waiting.values()]
    waiting.clear()
    for (const queryKey of keys) void client.invalidateQueries({ queryKey })
  }
  const end = live.on((event) => {
    if (event.type === 'gap') void client.invalidateQueries()
    else if (event.type === 'overview') client.setQueryData(['overview'], event.data)
    else if (event.type === 'fleet') client.setQueryData(['fleet'], event.data)
    for (const key of touched(event)) waiting.set(JSON.stringify(key), key)
    if (waiting.size > 0) timer ??= setTimeout(flush, EVERY_MS)
  })
  return () => {
    end()
    clearTimeout(timer)
  }
}

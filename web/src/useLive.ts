/** The one stream of this tab, for React. */
import { useEffect, useSyncExternalStore } from 'react'
import { api, ask } from './api'
import { Live, type LiveEvent, type Locks, type Status } from './live'

// A refused stream does not say why; a question does, and a 401 to it opens the sign-in.
const whyRefused = () => void ask(api.GET('/v1/bins', {})).catch(() => undefined)

export const live = new Live(
  {
    open: (url) => new EventSource(url),
    channel: new BroadcastChannel('vidprocme.live'),
    locks: (navigator.locks as Locks | undefined) ?? null,
    nowMs: () => Date.now(),
    visible: () => document.visibilityState === 'visible',
  },
  whyRefused,
)

export function startLive(): void {
  live.start()
  addEventListener('pagehide', (event) => {
    if (!event.persisted) live.stop()
  })
  addEventListener('online', () => live.again())
  document.addEventListener('visibilitychange', () => {
    if (!navigator.locks) live.again()
  })
}

export const useLiveStatus = (): Status => useSyncExternalStore((tell) => live.watch(tell), () => live.status)

/** Hear of these topics while the component is there. */
export function useTopics(...topics: string[]): void {
  const key = topics.join(',')
  useEffect(() => live.want(key.split(',').filter(Boolean)), [key])
}

/** Hear every event while the component is there; `hear` should be stable. */
export function useEvents(hear: (event: LiveEvent) => void): void {
  useEffect(() => live.on(hear), [hear])
}

import { useSyncExternalStore } from 'react'
import { clock, duration, instant, relative } from '../format'
import { usePrefs } from '../prefs'

// One timer for all relative times of the page, and none when there are none.
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
let tick = Date.now()
function subscribe(tell: () => void): () => void {
  listeners.add(tell)
  timer ??= setInterval(() => {
    tick = Date.now()
    for (const one of listeners) one()
  }, 1000)
  return () => {
    listeners.delete(tell)
    if (listeners.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}
const read = () => (timer === undefined ? (tick = Math.floor(Date.now() / 1000) * 1000) : tick)

/** Now, in ms; renewed each second while it is used. */
export const useNow = (): number => useSyncExternalStore(subscribe, read)

/** A moment (RFC 3339 or ms): far from now as `4 min ago`, or as date and clock; the other form and UTC on hover. */
export function Time({ at, as = 'relative' }: { at: string | number; as?: 'relative' | 'instant' | 'clock' }) {
  const { zone } = usePrefs()
  const ms = typeof at === 'number' ? at : Date.parse(at)
  const hover = zone === 'utc' ? instant(ms, 'utc') : `${instant(ms, 'local')} (${instant(ms, 'utc')})`
  return (
    <time dateTime={new Date(ms).toISOString()} title={hover} className="num">
      {as === 'relative' ? <Ago ms={ms} /> : as === 'clock' ? clock(ms, zone) : instant(ms, zone)}
    </time>
  )
}

function Ago({ ms }: { ms: number }) {
  return <>{relative(ms, useNow())}</>
}

/** How long something takes that began at `from`; it counts on while `to` is null. */
export function Took({ from, to }: { from: string; to: string | null }) {
  return <span className="num">{to === null ? <Counting from={Date.parse(from)} /> : duration((Date.parse(to) - Date.parse(from)) / 1000)}</span>
}

function Counting({ from }: { from: number }) {
  return <>{duration(Math.max(0, Math.round((useNow() - from) / 1000)))}</>
}

/** Numbers, sizes and times as people read them. Pure: time comes in. */
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

export const number = (value: number): string => (Math.abs(value) < 10 && value % 1 !== 0 ? tenths : whole).format(value)
export const percent = (fraction: number): string => `${Math.round(fraction * 100)}%`

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** 1 kB is 1,000 bytes, as disks and networks are sold. Three digits at most before the point, one after it below ten. */
export function bytes(value: number): string {
  let at = 0
  let left = value
  while (at < UNITS.length - 1 && Math.round(left) >= 1000) {
    left /= 1000
    at += 1
  }
  return `${at > 0 && left < 9.95 ? tenths.format(left) : whole.format(left)} ${UNITS[at]}`
}

/** `4 s`, `10 min`, `2.1 h`, `3 days`: the largest unit that says enough. */
export function duration(seconds: number): string {
  const s = Math.max(0, seconds)
  if (s < 9.95 && s % 1 !== 0) return `${tenths.format(s)} s`
  if (s < 89.5) return `${Math.round(s)} s`
  if (s < 5370) return `${Math.round(s / 60)} min`
  if (s < 48 * 3600 - 180) return `${tenths.format(s / 3600)} h`
  return `${whole.format(s / 86400)} days`
}

/** A moment of a video: `0:07`, `1:02:03`. Cut, not rounded: the moment has been reached. */
export function timecode(seconds: number): string {
  const all = Math.max(0, Math.floor(seconds + 1e-6))
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60]
  const two = (part: number) => String(part).padStart(2, '0')
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

export type Zone = 'local' | 'utc'
const zoned = (zone: Zone) => (zone === 'utc' ? { timeZone: 'UTC' } : {})
const formats = new Map<string, Intl.DateTimeFormat>()

function dates(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const made = formats.get(key) ?? new Intl.DateTimeFormat('en-GB', options)
  formats.set(key, made)
  return made
}

/** `25 Nov 2026, 13:02:41`, with `UTC` behind it where that is meant. */
export function instant(ms: number, zone: Zone): string {
  const text = dates(`instant ${zone}`, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', ...zoned(zone) }).format(ms)
  return zone === 'utc' ? `${text} UTC` : text
}

/** `13:02`, on a 24 h clock. */
export const clock = (ms: number, zone: Zone): string => dates(`clock ${zone}`, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...zoned(zone) }).format(ms)

/** How far away: `4 min ago`, `just now`, `in 38 s`. */
export function relative(ms: number, nowMs: number): string {
  const s = (nowMs - ms) / 1000
  if (Math.abs(s) < 2) return 'just now'
  return s > 0 ? `${duration(Math.round(s))} ago` : `in ${duration(Math.round(-s))}`
}

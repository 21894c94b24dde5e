import { type CSSProperties, type KeyboardEvent, type ReactNode, useRef, useState } from 'react'
import { percentOf, rove, seen } from '../strip'
import { words } from '../words'

/** A stretch on a strip. `label` says it in words; `text` is written on it where there is room; `href` or `onPick` opens it. */
export type Segment = {
  key: string
  from: number
  to: number
  color: string
  label: string
  text?: string
  href?: string
  onPick?: () => void
  /** done in an earlier round | ended badly | not what is looked for | still runs */
  look?: 'kept' | 'failed' | 'faint' | 'open'
}
type Props = { label: string; min: number; max: number; segments: Segment[]; now?: number; glides?: boolean; height?: number; onSeek?: (x: number) => void }

/** The one time-axis of the house: what ran where, a job's stages and a video's captions are all strips.
 *
 * A strip is one stop of the Tab key; arrows, Home and End move along it, Enter opens what has the focus.
 */
export function Strip({ label, min, max, segments, now, glides, height, onSeek }: Props) {
  const [focused, setFocused] = useState<string | null>(null)
  const list = useRef<HTMLUListElement>(null)
  const shown = seen(segments, min, max)
  const at = Math.max(0, shown.findIndex((one) => one.key === focused))
  const move = (event: KeyboardEvent) => {
    const to = rove(event.key, at, shown.length)
    if (to === null) return
    event.preventDefault()
    setFocused(shown[to]!.key)
    list.current?.children[to]?.querySelector<HTMLElement>('.target')?.focus()
  }
  return (
    <div className="strip-box">
      <ul
        ref={list}
        className={`strip ${glides ? 'glides' : ''}`}
        aria-label={shown.length ? label : `${label}: ${words.strip.nothing}`}
        style={height ? ({ '--strip-h': `${height}px` } as CSSProperties) : undefined}
        onKeyDown={move}
        onClick={onSeek && ((event) => {
          const box = event.currentTarget.getBoundingClientRect()
          if (event.detail > 0) onSeek(min + ((event.clientX - box.left) / box.width) * (max - min))
        })}
      >
        {shown.map((one, index) => (
          <li key={one.key} className={one.look} style={{ left: `${percentOf(one.from, min, max)}%`, width: `${percentOf(one.to, min, max) - percentOf(one.from, min, max)}%`, backgroundColor: one.color }}>
            <Target segment={one} stop={index === at} onFocus={() => setFocused(one.key)} />
          </li>
        ))}
      </ul>
      {now !== undefined && now >= min && now <= max && <div className="strip-now" aria-hidden style={{ left: `${percentOf(now, min, max)}%` }} />}
    </div>
  )
}

function Target({ segment, stop, onFocus }: { segment: Segment; stop: boolean; onFocus: () => void }) {
  const common = { className: 'target', title: segment.label, 'aria-label': segment.label, tabIndex: stop ? 0 : -1, onFocus }
  if (segment.href) return <a href={segment.href} {...common}>{segment.text}</a>
  if (segment.onPick) return <button type="button" {...common} onClick={segment.onPick}>{segment.text}</button>
  return <span {...common} role="img">{segment.text}</span>
}

/** The axis below strips that share it. */
export function StripAxis({ ticks }: { ticks: ReactNode[] }) {
  const last = Math.max(1, ticks.length - 1)
  return <div className="strip-axis" aria-hidden>{ticks.map((tick, at) => <span key={at} style={{ left: `${(at / last) * 100}%` }}>{tick}</span>)}</div>
}

export const STAGES = ['probe', 'transcode', 'frames', 'join', 'describe', 'index'] as const
export const stageColor = (stage: string): string => ((STAGES as readonly string[]).includes(stage) ? `var(--s-${stage})` : 'var(--s-probe)')

/** Which hue is which stage: of those that can be seen. */
export function Legend({ stages = STAGES }: { stages?: readonly string[] }) {
  return (
    <ul className="legend">
      {STAGES.filter((stage) => stages.includes(stage)).map((stage) => (
        <li key={stage}><i aria-hidden style={{ background: stageColor(stage) }} />{words.stages[stage]}</li>
      ))}
    </ul>
  )
}

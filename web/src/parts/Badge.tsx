import type { ReactNode } from 'react'
import { words } from '../words'

export type Tone = 'plain' | 'ok' | 'warn' | 'bad' | 'accent'

/** A glyph and a word: a hue alone tells nobody anything. */
export function Badge({ tone = 'plain', glyph, pill, children, title }: { tone?: Tone; glyph?: string; pill?: boolean; children: ReactNode; title?: string }) {
  return (
    <span className={`badge ${tone === 'plain' ? '' : tone} ${pill ? 'pill' : ''}`} title={title}>
      {glyph && <span className="glyph" aria-hidden>{glyph}</span>}
      <span>{children}</span>
    </span>
  )
}

const LOOKS: Record<string, [Tone, string]> = {
  waiting: ['plain', '○'], blocked: ['plain', '○'], ready: ['plain', '○'], delayed: ['warn', '↻'], running: ['accent', '▶'],
  succeeded: ['ok', '✓'], ok: ['ok', '✓'], failed: ['bad', '×'], dead: ['bad', '†'], lost: ['warn', '?'], timeout: ['bad', '×'], cancelled: ['plain', '–'], cancelling: ['plain', '–'],
  partial: ['warn', '◐'], working: ['ok', '✓'], draining: ['warn', '↓'], idle: ['plain', '○'], paused: ['warn', '‖'],
  open: ['bad', '!'], acknowledged: ['plain', '✓'], silenced: ['plain', '‖'], resolved: ['ok', '✓'],
}

/** The state of a job, task, attempt, machine or alert. */
export function StateBadge({ state, pill, text }: { state: string; pill?: boolean; text?: string }) {
  const [tone, glyph] = LOOKS[state] ?? ['plain', '·']
  return <Badge tone={tone} glyph={glyph} pill={pill}>{text ?? words.states[state] ?? state}</Badge>
}

export function Severity({ severity }: { severity: string }) {
  const [tone, glyph]: [Tone, string] = severity === 'critical' ? ['bad', '‼'] : severity === 'warning' ? ['warn', '!'] : ['plain', 'i']
  return <Badge tone={tone} glyph={glyph}>{words.severities[severity] ?? severity}</Badge>
}

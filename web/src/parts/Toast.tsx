import { useSyncExternalStore } from 'react'
import { words } from '../words'
import { Button } from './Button'

type Said = { id: number; text: string; action?: { label: string; act: () => void } }

let said: Said[] = []
let next = 1
const listeners = new Set<() => void>()
const change = (now: Said[]) => {
  said = now
  for (const tell of listeners) tell()
}
const SHOWN_MS = 6000

export const dismiss = (id: number): void => change(said.filter((one) => one.id !== id))

/** Say that something was done. What failed is told where it was asked for, not here. With an action it stays until it is closed. */
export function toast(text: string, action?: Said['action']): void {
  const id = next++
  change([...said.slice(-2), { id, text, action }])
  if (!action) setTimeout(() => dismiss(id), SHOWN_MS)
}

export function Toasts() {
  const now = useSyncExternalStore((tell) => (listeners.add(tell), () => listeners.delete(tell)), () => said)
  return (
    <div className="toasts" role="status" aria-live="polite">
      {now.map((one) => (
        <div key={one.id} className="toast">
          <span>{one.text}</span>
          {one.action && <Button small onClick={() => (one.action?.act(), dismiss(one.id))}>{one.action.label}</Button>}
          <Button small onClick={() => dismiss(one.id)} aria-label={`${words.common.close}: ${one.text}`}>×</Button>
        </div>
      ))}
    </div>
  )
}

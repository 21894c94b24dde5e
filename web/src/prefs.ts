/** What a person set about the dashboard itself. It stays in this browser; public/theme.js reads it before the first paint. */
import { useSyncExternalStore } from 'react'
import type { Zone } from './format'

export type Prefs = { theme: 'system' | 'light' | 'dark'; density: 'comfortable' | 'compact'; zone: Zone; keys: boolean }

const KEY = 'vidprocme.prefs'
const DEFAULTS: Prefs = { theme: 'system', density: 'comfortable', zone: 'local', keys: true }
const listeners = new Set<() => void>()
const systemDark = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : null
let now: Prefs = read()

function read(): Prefs {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) }
  } catch {
    return DEFAULTS // storage is closed, or somebody wrote something else there
  }
}

export const isDark = (prefs: Prefs): boolean => prefs.theme === 'dark' || (prefs.theme === 'system' && !!systemDark?.matches)

function show(): void {
  document.documentElement.dataset.theme = isDark(now) ? 'dark' : 'light'
  document.documentElement.dataset.density = now.density
  for (const tell of listeners) tell()
}

export function setPrefs(change: Partial<Prefs>): void {
  now = { ...now, ...change }
  try {
    localStorage.setItem(KEY, JSON.stringify(now))
  } catch {
    // it holds for this page alone
  }
  show()
}

/** Follow the system's theme and what other tabs set. */
export function watchPrefs(): void {
  systemDark?.addEventListener('change', show)
  addEventListener('storage', (event) => {
    if (event.key === KEY) {
      now = read()
      show()
    }
  })
  show()
}

export const prefs = (): Prefs => now

export function usePrefs(): Prefs {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell)
      return () => listeners.delete(tell)
    },
    prefs,
  )
}

/** Who is asking. When the server asks for a key (401), the sign-in takes the page's place until it has one. */
import { useSyncExternalStore } from 'react'
import { onRefused, raw } from '../api'
import { queryClient } from '../queries'
import { live } from '../useLive'

let needed = false
const listeners = new Set<() => void>()
const turn = (now: boolean) => {
  if (needed === now) return
  needed = now
  for (const tell of listeners) tell()
}
onRefused(() => turn(true))

export const useKeyNeeded = (): boolean => useSyncExternalStore((tell) => (listeners.add(tell), () => listeners.delete(tell)), () => needed)

/** @throws {Problem} the key is not known. */
export async function signIn(key: string): Promise<void> {
  await raw('/v1/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key }) })
  turn(false)
  await queryClient.invalidateQueries()
  live.again()
}

export async function signOut(): Promise<void> {
  await raw('/v1/session', { method: 'DELETE' })
  queryClient.clear()
  turn(true)
}

import { useQuery } from '@tanstack/react-query'
import { Button } from '../parts/Button'
import { session } from '../queries'
import { words } from '../words'
import { signOut } from './session'

/** Whose key this is; nothing where nobody is asked for one. */
export function Who() {
  const who = useQuery(session).data
  if (!who || who.open) return null
  return <div className="who"><span>{who.name}</span><Button small kind="quiet" onClick={() => void signOut()}>{words.shell.signOut}</Button></div>
}

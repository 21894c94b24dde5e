import { useQuery } from '@tanstack/react-query'
import { overview } from '../queries'
import { words } from '../words'

/** How many alerts are open, in the rail. */
export function AlertTally() {
  const open = useQuery(overview).data?.alerts_open ?? 0
  if (open === 0) return null
  return <span className="tally" aria-label={words.shell.alertsOpen(open)}>{open > 99 ? '99+' : open}</span>
}

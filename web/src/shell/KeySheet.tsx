import { Fragment } from 'react'
import { Dialog } from '../parts/Dialog'
import { setPrefs, usePrefs } from '../prefs'
import { words } from '../words'
import { PLACES } from './places'

const say = words.keySheet
const KEYS: [string, string[]][] = [
  [say.palette, ['Ctrl', 'K']],
  [say.sheet, ['?']],
  [say.find, ['/']],
  ...PLACES.map((place): [string, string[]] => [say.go(place.label), ['g', place.key]]),
  [say.strip, ['←', '→', 'Home', 'End']],
]

export default function KeySheet({ onOpen }: { onOpen: (open: boolean) => void }) {
  const { keys } = usePrefs()
  return (
    <Dialog open onOpen={onOpen} title={say.title}>
      <dl className="keys">
        {KEYS.map(([what, parts]) => (
          <Fragment key={what}>
            <dt>{what}</dt>
            <dd>{parts.map((part) => <kbd key={part} className="kbd">{part}</kbd>)}</dd>
          </Fragment>
        ))}
      </dl>
      <label className="check"><input type="checkbox" checked={keys} onChange={(event) => setPrefs({ keys: event.target.checked })} />{say.on}</label>
    </Dialog>
  )
}

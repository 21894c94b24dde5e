import { Dialog as Radix } from 'radix-ui'
import { type ReactNode, useState } from 'react'
import { words } from '../words'
import { Button } from './Button'
import { ErrorNote } from './States'

type Props = { open: boolean; onOpen: (open: boolean) => void; title: string; text?: ReactNode; wide?: boolean; children?: ReactNode }

/** A question over the page. Escape and a click beside it close it; the focus goes back to where it was. */
export function Dialog({ open, onOpen, title, text, wide, children }: Props) {
  return (
    <Radix.Root open={open} onOpenChange={onOpen}>
      <Radix.Portal>
        <div className="veil" aria-hidden />
        <Radix.Content className={`dialog ${wide ? 'wide' : ''}`} {...(text ? {} : { 'aria-describedby': undefined })}>
          <Radix.Title>{title}</Radix.Title>
          {text && <Radix.Description>{text}</Radix.Description>}
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

type ConfirmProps = Props & { verb: string; danger?: boolean; ready?: boolean; act: () => Promise<unknown> }

/** A question with one verb. It stays open, with the reason, when that could not be done. */
export function Confirm({ verb, danger, ready = true, act, children, ...rest }: ConfirmProps) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const go = async () => {
    setBusy(true)
    setError(null)
    try {
      await act()
      rest.onOpen(false)
    } catch (caught) {
      setError(caught)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog {...rest}>
      {children}
      {error !== null && <ErrorNote error={error} />}
      <div className="btns">
        <Button onClick={() => rest.onOpen(false)}>{words.common.cancel}</Button>
        <Button kind={danger ? 'danger' : 'primary'} busy={busy} disabled={!ready} onClick={() => void go()}>{verb}</Button>
      </div>
    </Dialog>
  )
}

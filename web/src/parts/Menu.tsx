import { DropdownMenu } from 'radix-ui'
import type { ReactNode } from 'react'

export type MenuEntry = { key: string; label: ReactNode; meta?: ReactNode; danger?: boolean; disabled?: boolean; href?: string; download?: boolean; onPick?: () => void } | 'rule'

/** A button that opens a list of verbs. `label` names it for those who do not see its sign. */
export function Menu({ button, label, entries, small, kind = '' }: { button: ReactNode; label?: string; entries: MenuEntry[]; small?: boolean; kind?: string }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className={`btn ${kind} ${small ? 'small' : ''}`} aria-label={label}>
        {button}
        <span className="caret" aria-hidden>▾</span>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {entries.map((entry, at) =>
            entry === 'rule' ? (
              <DropdownMenu.Separator key={`rule-${at}`} asChild><hr /></DropdownMenu.Separator>
            ) : (
              <DropdownMenu.Item key={entry.key} className={`menu-item ${entry.danger ? 'danger' : ''}`} disabled={entry.disabled} onSelect={entry.onPick} asChild={!!entry.href}>
                {entry.href ? <a href={entry.href} download={entry.download || undefined}>{entry.label}{entry.meta && <span className="meta">{entry.meta}</span>}</a> : <>{entry.label}{entry.meta && <span className="meta">{entry.meta}</span>}</>}
              </DropdownMenu.Item>
            ),
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

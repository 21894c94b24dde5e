import { Tabs as Radix } from 'radix-ui'
import type { ReactNode } from 'react'

export type Tab = { key: string; label: string; count?: number; body: ReactNode }

/** Which tab is open is the page's to keep (in the URL), so that a link opens it again. */
export function Tabs({ label, tabs, value, onChange }: { label: string; tabs: Tab[]; value: string; onChange: (key: string) => void }) {
  return (
    <Radix.Root value={value} onValueChange={onChange}>
      <Radix.List className="tabs-list" aria-label={label}>
        {tabs.map((tab) => (
          <Radix.Trigger key={tab.key} value={tab.key} className="tab">
            {tab.label}
            {tab.count !== undefined && <span className="count">{tab.count.toLocaleString('en')}</span>}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => <Radix.Content key={tab.key} value={tab.key}>{tab.body}</Radix.Content>)}
    </Radix.Root>
  )
}

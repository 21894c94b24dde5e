import { useVirtualizer } from '@tanstack/react-virtual'
import { type CSSProperties, type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react'
import { usePrefs } from '../prefs'

export type Column<T> = {
  key: string
  head: ReactNode
  /** of the grid: `120px`, `minmax(160px, 2fr)` */
  width: string
  right?: boolean
  sort?: 'ascending' | 'descending' | 'none'
  onSort?: () => void
  cell: (row: T, at: number) => ReactNode
}
type Props<T> = {
  label: string
  columns: Column<T>[]
  rows: T[]
  keyOf: (row: T) => string
  /** of all that are there, also those that are not loaded; -1: unknown */
  total?: number
  onEnd?: () => void
  onKey?: (event: KeyboardEvent, row: T, at: number) => void
  selected?: (row: T) => boolean
  active?: number
  onActive?: (at: number) => void
  height?: string
  minWidth?: number
}

/** Rows of any number: only those that can be seen are in the document. j/k or arrows move, the page says what other keys do. */
export function Table<T>({ label, columns, rows, keyOf, total = rows.length, onEnd, onKey, selected, active = -1, onActive, height, minWidth = 720 }: Props<T>) {
  const scroll = useRef<HTMLDivElement>(null)
  const rowHeight = usePrefs().density === 'compact' ? 32 : 40
  const list = useVirtualizer({ count: rows.length, getScrollElement: () => scroll.current, estimateSize: () => rowHeight, overscan: 8, getItemKey: (at) => keyOf(rows[at]!) })
  useEffect(() => list.measure(), [list, rowHeight])
  const items = list.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (rows.length > 0 && last >= rows.length - 20) onEnd?.()
  }, [last, rows.length, onEnd])
  const template = { gridTemplateColumns: columns.map((one) => one.width).join(' ') }
  const move = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLElement && event.target.closest('input, select, textarea, [role="menu"]')) return
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15, Home: -rows.length, End: rows.length }
    const step = steps[event.key]
    if (step !== undefined && onActive && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault()
      const to = Math.min(Math.max(active + step, 0), rows.length - 1)
      onActive(to)
      list.scrollToIndex(to)
    } else if (rows[active] !== undefined) onKey?.(event, rows[active], active)
  }
  return (
    <div ref={scroll} className="vtable" role="grid" tabIndex={0} aria-label={label} aria-rowcount={total < 0 ? -1 : total + 1} onKeyDown={move} style={{ '--table-height': height, '--table-width': `${minWidth}px` } as CSSProperties}>
        <div role="rowgroup" className="vtable-head">
          <div role="row" style={template} aria-rowindex={1}>
            {columns.map((one) => (
              <div key={one.key} role="columnheader" aria-sort={one.sort} className={one.right ? 'r' : undefined}>
                {one.onSort ? <button type="button" onClick={one.onSort}>{one.head}<span aria-hidden>{one.sort === 'ascending' ? ' ↑' : one.sort === 'descending' ? ' ↓' : ''}</span></button> : one.head}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" className="vtable-body" style={{ height: list.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index]!
            return (
              <div key={item.key} role="row" aria-rowindex={item.index + 2} aria-selected={selected ? selected(row) : undefined} data-active={item.index === active || undefined} style={{ ...template, transform: `translateY(${item.start}px)` }} onClick={() => onActive?.(item.index)}>
                {columns.map((one) => <div key={one.key} role="gridcell" className={one.right ? 'r' : undefined}>{one.cell(row, item.index)}</div>)}
              </div>
            )
          })}
        </div>
    </div>
  )
}

// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Strip, type Segment } from '../src/parts/Strip'
import { percentOf, rove, seen, spanAt } from '../src/strip'

afterEach(cleanup)
const spans = [{ key: 'a', from: 0, to: 3 }, { key: 'b', from: 3, to: 6 }, { key: 'c', from: 9, to: 16 }]

describe('arithmetic', () => {
  it('stands at the edge outside', () => expect([percentOf(-1, 0, 10), percentOf(5, 0, 10), percentOf(11, 0, 10), percentOf(1, 2, 2)]).toEqual([0, 50, 100, 0]))
  it('shows what can be seen, in order', () => expect(seen([...spans].reverse(), 4, 10).map((one) => one.key)).toEqual(['b', 'c']))
  it('finds the span of a moment, half-open', () => expect([0, 2.99, 3, 6, 9, 16].map((x) => spanAt(spans, x))).toEqual([0, 0, 1, -1, 2, -1]))
  it('moves with the arrows and stays inside', () => {
    expect([rove('ArrowRight', 2, 3), rove('ArrowLeft', 0, 3), rove('Home', 2, 3), rove('End', 0, 3)]).toEqual([2, 0, 0, 2])
    expect([rove('x', 0, 3), rove('Home', 0, 0)]).toEqual([null, null])
  })
})

describe('a strip', () => {
  const pick = vi.fn()
  const segments: Segment[] = spans.map((span) => ({ ...span, color: 'red', label: `part ${span.key}`, onPick: () => pick(span.key) }))

  it('is one stop of the Tab key, and arrows move along it', () => {
    render(<Strip label="captions" min={0} max={16} segments={segments} />)
    const [a, b, c] = screen.getAllByRole('button')
    expect([a!.tabIndex, b!.tabIndex, c!.tabIndex]).toEqual([0, -1, -1])
    a!.focus()
    fireEvent.keyDown(a!, { key: 'ArrowRight' })
    expect(document.activeElement).toBe(b)
    fireEvent.keyDown(b!, { key: 'End' })
    expect(document.activeElement).toBe(c)
    expect([a!.tabIndex, c!.tabIndex]).toEqual([-1, 0])
    fireEvent.click(c!)
    expect(pick).toHaveBeenLastCalledWith('c')
  })

  it('says that nothing is on it', () => {
    render(<Strip label="node-a:0" min={0} max={10} segments={[]} />)
    expect(screen.getByRole('list').getAttribute('aria-label')).toBe('node-a:0: nothing ran')
  })
})

import { describe, expect, it } from 'vitest'
import { bytes, clock, duration, instant, number, percent, relative, timecode } from '../src/format'

describe('sizes', () => {
  it.each([[0, '0 B'], [999, '999 B'], [1000, '1 kB'], [1499, '1.5 kB'], [61_400_000, '61 MB'], [999_600_000, '1 GB'], [4.1e9, '4.1 GB']])('%d is %s', (value, text) => expect(bytes(value)).toBe(text))
})

describe('times', () => {
  it.each([[0, '0 s'], [0.42, '0.4 s'], [4, '4 s'], [89, '89 s'], [90, '2 min'], [600, '10 min'], [5369, '89 min'], [5400, '1.5 h'], [7560, '2.1 h'], [3 * 86400, '3 days'], [-5, '0 s']])('%d s are %s', (s, text) => expect(duration(s)).toBe(text))
  it.each([[0, '0:00'], [7.99, '0:07'], [59.999, '0:59'], [60, '1:00'], [3723, '1:02:03'], [-1, '0:00']])('moment %d is %s', (s, text) => expect(timecode(s)).toBe(text))
  it('does not fall behind a moment whose fraction was rounded down', () => expect(timecode(6.9999999)).toBe('0:07'))
  it('says how far away', () => {
    expect(relative(0, 500)).toBe('just now')
    expect(relative(0, 240_000)).toBe('4 min ago')
    expect(relative(38_000, 0)).toBe('in 38 s')
  })
  it('tells UTC from local', () => {
    const ms = Date.UTC(2026, 10, 25, 13, 2, 41)
    expect(instant(ms, 'utc')).toBe('25 Nov 2026, 13:02:41 UTC')
    expect(clock(ms, 'utc')).toBe('13:02')
    expect(instant(ms, 'local')).not.toContain('UTC')
  })
})

it('numbers are set with commas, small ones with a tenth', () => {
  expect([number(1885), number(0.25), number(3), percent(0.756)]).toEqual(['1,885', '0.3', '3', '76%'])
})

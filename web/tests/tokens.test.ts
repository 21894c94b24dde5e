import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const css = readFileSync('src/styles/tokens.css', 'utf8')

function tokens(block: string): Record<string, string> {
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, value]) => [name, value]))
}
const light = tokens(css.slice(0, css.indexOf("[data-theme='dark']")))
const dark = { ...light, ...tokens(css.slice(css.indexOf("[data-theme='dark']"))) }

/** WCAG 2.x relative luminance. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)) as [number, number, number]
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number]
  return (high + 0.05) / (low + 0.05)
}

const TEXT: [string, string[]][] = [
  ['ink', ['paper', 'card', 'sunk', 'accent-wash', 'warn-wash', 'bad-wash', 'ok-wash']],
  ['ink-2', ['paper', 'card', 'sunk', 'accent-wash', 'warn-wash', 'bad-wash']],
  ['ink-3', ['paper', 'card', 'sunk']],
  ['accent', ['paper', 'card', 'sunk', 'accent-wash']],
  ['accent-ink', ['accent']],
  ['ok', ['paper', 'card', 'sunk', 'ok-wash']],
  ['warn', ['paper', 'card', 'sunk', 'warn-wash']],
  ['bad', ['paper', 'card', 'sunk', 'bad-wash']],
]
const STAGES = ['probe', 'transcode', 'frames', 'join', 'describe', 'index']

describe.each([['light', light], ['dark', dark]])('%s', (_name, theme) => {
  it.each(TEXT.flatMap(([ink, grounds]) => grounds.map((ground): [string, string] => [ink, ground])))('%s on %s can be read (4.5)', (ink, ground) => {
    expect(contrast(theme[ink]!, theme[ground]!)).toBeGreaterThanOrEqual(4.5)
  })
  it.each(STAGES)('the hue of %s can be told from the strip (3)', (stage) => {
    expect(contrast(theme[`s-${stage}`]!, theme.sunk!)).toBeGreaterThanOrEqual(3)
  })
  it.each([['edge', 'card'], ['edge', 'paper'], ['focus', 'card'], ['focus', 'paper'], ['ink', 'sunk']])('%s on %s marks what can be used (3)', (mark, ground) => {
    expect(contrast(theme[mark]!, theme[ground]!)).toBeGreaterThanOrEqual(3)
  })
})

it('counts as WCAG does', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21, 5)
  expect(contrast('#767676', '#ffffff')).toBeCloseTo(4.54, 2)
})

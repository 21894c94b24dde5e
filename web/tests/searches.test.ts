import { expect, it } from 'vitest'
import { jobs, parse, video, write } from '../src/searches'

it('reads and writes an address as the API writes its own', () => {
  const given = '?state=failed&state=dead&q=loading+dock'
  expect(jobs(parse(given))).toEqual({ state: ['failed', 'dead'], q: 'loading dock' })
  expect(write(jobs(parse(given)))).toBe(given)
})

it('leaves out what it does not understand', () => {
  expect(video(parse('?t=7.5&q=12&x=1'))).toEqual({ t: 7.5, q: '12' })
  expect(video(parse('?t=soon'))).toEqual({})
  expect(write({})).toBe('')
})

import { expect, it } from 'vitest'
import { touched } from '../src/renew'

const diary = (kind: string, job = 'job_1') => touched({ type: 'diary', data: { kind, job }, id: '1-0' }).map((key) => key.join('/'))

it('renews what an event makes old, and no more', () => {
  expect(diary('job.ended')).toEqual(['job/job_1', 'jobs', 'videos', 'video'])
  expect(diary('task.running')).toEqual(['job/job_1', 'lanes'])
  expect(diary('bin.paused', '')).toEqual(['bins', 'overview'])
  expect(touched({ type: 'overview', data: {}, id: '' })).toEqual([])
})

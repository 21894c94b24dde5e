import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Live, type LiveEvent, type Locks, type Stream } from '../src/live'

// The locks and the channel are the platform's own; of the stream only its opening is recorded.
class Opened extends EventTarget implements Stream {
  static all: Opened[] = []
  readyState = 1
  constructor(readonly url: string) {
    super()
    Opened.all.push(this)
  }
  close() {
    this.readyState = 2
  }
  get topics() {
    return new URLSearchParams(this.url.split('?')[1]).get('topics')
  }
  say(type: string, data: unknown, id = '') {
    this.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data), lastEventId: id }))
  }
}
const open = () => Opened.all.filter((one) => one.readyState !== 2)
let tabs: Live[] = []
let room = 0

function tab(locks: Locks | null = navigator.locks as unknown as Locks): [Live, LiveEvent[]] {
  const live = new Live({
    open: (url) => new Opened(url),
    channel: new BroadcastChannel(`live ${room}`) as never,
    locks: locks && { request: (name, options, held) => locks.request(`${name} ${room}`, options, held) },
    nowMs: () => 0,
    visible: () => true,
  })
  const heard: LiveEvent[] = []
  live.on((event) => heard.push(event))
  live.start()
  tabs.push(live)
  return [live, heard]
}
const until = (what: () => void) => vi.waitFor(what, { timeout: 4000, interval: 5 })

afterEach(async () => {
  tabs.forEach((one) => one.stop())
  tabs = []
  Opened.all = []
  room += 1
  await sleep(0)
})

// Node has Web Locks since 24.5; a browser's are seen at work in tests/web/.
describe.skipIf(!navigator.locks)('one stream for a browser', () => {
  it('is held by one tab, and the others hear what it hears', async () => {
    const [first] = tab()
    await until(() => expect(open()).toHaveLength(1))
    const [second, heard] = tab()
    open()[0]!.say('diary', { kind: 'job.ended', job: 'job_1' }, '7-0')

    await until(() => expect(heard.map((one) => one.id)).toEqual(['7-0']))
    expect([first.leads, second.leads, open().length]).toEqual([true, false, 1])
  })

  it('asks for what all tabs want, and no longer for what a closed one wanted', async () => {
    tab()
    await until(() => expect(open()).toHaveLength(1))
    const [second] = tab()
    second.want(['job:job_2', 'fleet'])
    await until(() => expect(open()[0]!.topics).toBe('alerts,fleet,job:job_2,overview'))
    second.stop()

    await until(() => expect(open()[0]!.topics).toBe('alerts,overview'))
    expect(open()).toHaveLength(1)
  })

  it('goes on in another tab after the last event, when the leader closes', async () => {
    const [first] = tab()
    await until(() => expect(open()).toHaveLength(1))
    const [second, heard] = tab()
    open()[0]!.say('diary', { kind: 'job.ended', job: 'job_1' }, '9-3')
    await until(() => expect(heard).toHaveLength(1))
    first.stop()

    await until(() => expect(second.leads && open().length === 1).toBe(true))
    expect(open()[0]!.url).toContain('last_event_id=9-3')
  })

  it('tells every tab that the connection is lost, and that it is back', async () => {
    const [first] = tab()
    await until(() => expect(open()).toHaveLength(1))
    const [second] = tab()
    open()[0]!.say('open', null)
    await until(() => expect(second.status.state).toBe('live'))
    open()[0]!.say('error', null)

    await until(() => expect([first.status.state, second.status.state]).toEqual(['lost', 'lost']))
    open()[0]!.say('open', null)
    await until(() => expect([first.status.state, second.status.state]).toEqual(['live', 'live']))
  })

  it('has everything asked anew after a gap, and then starts from now', async () => {
    const [live, heard] = tab()
    await until(() => expect(open()).toHaveLength(1))
    open()[0]!.say('diary', { kind: 'job.ended', job: 'job_1' }, '1-0')
    open()[0]!.say('gap', { oldest: '5-0' })
    live.again()

    expect(heard.map((one) => one.type)).toEqual(['diary', 'gap'])
    expect(open()[0]!.url).not.toContain('last_event_id')
  })

  it('opens a refused stream again by itself', async () => {
    tab()
    await until(() => expect(open()).toHaveLength(1))
    const [refused] = open()
    refused!.readyState = 2
    refused!.say('error', null)

    await until(() => expect(open()).toHaveLength(1))
    expect(open()[0]).not.toBe(refused)
  })

  it('has each tab hold its own where there are no locks', async () => {
    tab(null)
    const [, heard] = tab(null)
    await until(() => expect(open()).toHaveLength(2))
    open()[0]!.say('diary', { kind: 'job.ended', job: 'job_1' }, '1-0')
    await sleep(20)

    expect(heard).toEqual([])
  })
})

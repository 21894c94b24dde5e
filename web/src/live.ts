/** What happens, as it happens: one stream for a whole browser.
 *
 * HTTP/1.1 gives a page about six connections to a server, and all tabs share them: a stream for each tab would starve their
 * requests. So one tab leads (Web Locks: whoever holds the lock, and the next one in line when that tab closes), holds the
 * stream, and tells the others over a BroadcastChannel. All remember the last event's id, so that a new leader goes on where the
 * old one ended. Where the browser has no locks (plain HTTP to another machine), each visible tab holds a stream of its own.
 */
export type LiveState = 'starting' | 'live' | 'lost'
export type LiveEvent = { type: 'diary' | 'overview' | 'fleet' | 'alert' | 'gap'; data: unknown; id: string }
export type Status = { state: LiveState; sinceMs: number }

type Said =
  | { say: 'event'; event: LiveEvent }
  | { say: 'status'; status: Status }
  | { say: 'wants'; tab: string; topics: string[] }
  | { say: 'leads' }
  | { say: 'left'; tab: string }
  | { say: 'again' }

/** The part of EventSource that is used. */
export type Stream = { close(): void; readonly readyState: number; addEventListener(type: string, hear: (event: Event) => void): void }
export type Channel = { postMessage(message: unknown): void; onmessage: ((event: MessageEvent) => void) | null; close(): void }
export type Locks = { request(name: string, options: { signal: AbortSignal }, held: () => Promise<void>): Promise<unknown> }
export type Tools = {
  open(url: string): Stream
  channel: Channel
  locks: Locks | null
  nowMs(): number
  /** Is this tab looked at? Asked only where there are no locks. */
  visible(): boolean
}

const KINDS = ['diary', 'overview', 'fleet', 'alert', 'gap'] as const
const ALWAYS = ['alerts', 'overview']
const LOCK = 'vidprocme.live'
const CLOSED = 2
const AGAIN_MS = [1000, 2000, 5000, 10_000]
const SETTLE_MS = 30 // topics that change together open the stream once

export class Live {
  status: Status
  leads = false
  lastId = ''
  private readonly tab = Math.random().toString(36).slice(2)
  private readonly wanted = new Map<string, number>()
  private readonly others = new Map<string, string[]>()
  private readonly hearers = new Set<(event: LiveEvent) => void>()
  private readonly watchers = new Set<() => void>()
  private readonly ending = new AbortController()
  private stream: Stream | null = null
  private opened = ''
  private tries = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private giveUp: (() => void) | null = null

  constructor(private readonly tools: Tools, private readonly closedByServer: () => void = () => undefined) {
    this.status = { state: 'starting', sinceMs: tools.nowMs() }
    tools.channel.onmessage = (message) => this.hear(message.data as Said)
  }

  start(): void {
    this.tellWants()
    if (this.tools.locks === null) {
      this.lead()
      return
    }
    const held = () => new Promise<void>((resolve) => {
      this.giveUp = resolve
      this.lead()
    })
    this.tools.locks.request(LOCK, { signal: this.ending.signal }, held).catch(() => undefined) // aborted: this tab ends
  }

  /** The tab closes: the next one in line leads. */
  stop(): void {
    if (this.ending.signal.aborted) return
    this.say({ say: 'left', tab: this.tab })
    this.ending.abort()
    clearTimeout(this.timer)
    this.stream?.close()
    this.stream = null
    this.leads = false
    this.giveUp?.()
    this.tools.channel.close()
  }

  /** Hear of these topics (`jobs`, `job:ID`, `fleet`, `overview`, `alerts`) until the answer is called. */
  want(topics: string[]): () => void {
    for (const topic of topics) this.wanted.set(topic, (this.wanted.get(topic) ?? 0) + 1)
    this.tellWants()
    return () => {
      for (const topic of topics) {
        const left = (this.wanted.get(topic) ?? 1) - 1
        if (left > 0) this.wanted.set(topic, left)
        else this.wanted.delete(topic)
      }
      this.tellWants()
    }
  }

  on(hear: (event: LiveEvent) => void): () => void {
    this.hearers.add(hear)
    return () => this.hearers.delete(hear)
  }

  watch(tell: () => void): () => void {
    this.watchers.add(tell)
    return () => this.watchers.delete(tell)
  }

  /** Connect at once, whoever leads: somebody asked, signed in, or the network is back. */
  again(): void {
    if (this.leads) {
      this.tries = 0
      this.open(true)
    } else this.say({ say: 'again' })
  }

  /** The topics of all tabs. A job's own topic is part of `jobs`. */
  topics(): string {
    const all = new Set([...ALWAYS, ...this.wanted.keys(), ...[...this.others.values()].flat()])
    const some = all.has('jobs') ? [...all].filter((topic) => !topic.startsWith('job:')) : [...all]
    return some.sort().slice(0, 50).join(',')
  }

  private lead(): void {
    this.leads = true
    this.say({ say: 'leads' }) // the others say what they want
    this.settle()
  }

  private tellWants(): void {
    if (this.leads) this.settle()
    else this.say({ say: 'wants', tab: this.tab, topics: [...this.wanted.keys()] })
  }

  private settle(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.open(false), SETTLE_MS)
  }

  private open(anew: boolean): void {
    clearTimeout(this.timer)
    if (!this.leads || this.ending.signal.aborted) return
    if (this.tools.locks === null && !this.tools.visible()) {
      this.stream?.close()
      this.stream = null
      return
    }
    const topics = this.topics()
    if (!anew && topics === this.opened && this.stream !== null && this.stream.readyState !== CLOSED) return
    this.stream?.close()
    this.opened = topics
    const query = new URLSearchParams({ topics, ...(this.lastId ? { last_event_id: this.lastId } : {}) })
    const stream = this.tools.open(`/v1/events?${query}`)
    this.stream = stream
    stream.addEventListener('open', () => {
      if (stream !== this.stream) return
      this.tries = 0
      this.turn('live')
      // No id to go on from: what happened between the pages' first questions and now was heard by nobody.
      if (!this.lastId) this.pass({ type: 'gap', data: {}, id: '' })
    })
    stream.addEventListener('error', () => this.fail(stream))
    for (const type of KINDS) {
      stream.addEventListener(type, (event) => {
        if (stream !== this.stream) return
        const { data, lastEventId } = event as MessageEvent<string>
        this.pass({ type, data: JSON.parse(data) as unknown, id: lastEventId })
      })
    }
  }

  private fail(stream: Stream): void {
    if (stream !== this.stream) return
    this.turn('lost')
    if (stream.readyState !== CLOSED) return // the browser tries again by itself
    this.closedByServer() // refused: perhaps a key is asked for
    const wait = AGAIN_MS[Math.min(this.tries, AGAIN_MS.length - 1)]
    this.tries += 1
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.open(true), wait)
  }

  /** The browser tries again with the id that it saw itself; ours is the same. */
  private pass(event: LiveEvent): void {
    this.take(event)
    this.say({ say: 'event', event })
  }

  private take(event: LiveEvent): void {
    if (event.type === 'diary' && event.id) this.lastId = event.id
    if (event.type === 'gap') this.lastId = ''
    for (const hear of this.hearers) hear(event)
  }

  private turn(state: LiveState): void {
    if (this.status.state === state) return
    this.setStatus({ state, sinceMs: this.tools.nowMs() })
    this.say({ say: 'status', status: this.status })
  }

  private setStatus(status: Status): void {
    this.status = status
    for (const tell of this.watchers) tell()
  }

  private hear(said: Said): void {
    if (said.say === 'event' && this.tools.locks !== null) this.take(said.event)
    else if (said.say === 'status' && this.tools.locks !== null && !this.leads) this.setStatus(said.status)
    else if (said.say === 'leads' && !this.leads) this.tellWants()
    else if (said.say === 'wants' && this.leads && this.tools.locks !== null) {
      this.others.set(said.tab, said.topics)
      this.say({ say: 'status', status: this.status })
      this.settle()
    } else if (said.say === 'left' && this.others.delete(said.tab) && this.leads) this.settle()
    else if (said.say === 'again' && this.leads) this.again()
  }

  private say(said: Said): void {
    this.tools.channel.postMessage(said)
  }
}

/** The API, typed by its own description (`npm run gen`), with every error as a Problem. */
import createClient, { type Middleware } from 'openapi-fetch'
import type { components, paths } from './api.gen'
import { words } from './words'

export type Schemas = components['schemas']

/** RFC 9457, as the server says it; `status` 0: the server did not answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly hint: string,
    readonly requestId: string,
    readonly evidence: Record<string, unknown> = {},
    readonly errors: { pointer: string; detail: string }[] = [],
  ) {
    super(detail)
    this.name = 'Problem'
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What the body of a refused request says. */
export function problemOf(status: number, requestId: string, body: unknown): Problem {
  const said = (body !== null && typeof body === 'object' ? body : {}) as Record<string, unknown>
  return new Problem(
    status,
    text(said.code) || `HTTP_${status}`,
    text(said.detail) || words.errors.odd,
    text(said.hint),
    text(said.request_id) || requestId,
    (said.evidence as Record<string, unknown> | undefined) ?? {},
    (said.errors as { pointer: string; detail: string }[] | undefined) ?? [],
  )
}

export const unreachable = (): Problem => new Problem(0, 'SERVER_UNREACHABLE', words.errors.offline, words.errors.offlineHint, '')

/** Who wants to know that a key is asked for. */
const refused = new Set<() => void>()
export function onRefused(tell: () => void): () => void {
  refused.add(tell)
  return () => refused.delete(tell)
}
export const refuse = (): void => refused.forEach((tell) => tell())

const doors: Middleware = {
  onResponse({ response, request }) {
    if (response.status === 401 && !(request.method === 'POST' && request.url.endsWith('/v1/session'))) refuse()
  },
}

// `fetch` is looked up at each call, so that tests and tools may put theirs in its place. Lists are repeated: `state=a&state=b`.
export const api = createClient<paths>({ baseUrl: '/', fetch: (request: Request) => fetch(request) })
api.use(doors)

type Answer<T> = { data?: T; error?: unknown; response: Response }

/** The document of an answer.
 *
 * @throws {Problem} the server refused, or did not answer.
 */
export async function ask<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>
  try {
    answer = await call
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw unreachable()
  }
  if (answer.response.ok) return answer.data as T
  throw problemOf(answer.response.status, answer.response.headers.get('x-request-id') ?? '', answer.error)
}

/** A request that the description does not type (files, or a path made by the server). */
export async function raw(path: string, init?: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, init)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw unreachable()
  }
  if (response.ok) return response
  if (response.status === 401) refuse()
  const body: unknown = await response.json().catch(() => null)
  throw problemOf(response.status, response.headers.get('x-request-id') ?? '', body)
}

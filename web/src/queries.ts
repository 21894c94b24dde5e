/** What is asked of the server, and under which name it is kept; live events renew it by these names. */
import { QueryClient, queryOptions } from '@tanstack/react-query'
import { api, ask, Problem, raw, type Schemas } from './api'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000, // live events say sooner what changed
      refetchOnWindowFocus: false,
      retry: (failures, error) => error instanceof Problem && (error.status === 0 || error.status >= 500) && failures < 2,
    },
  },
})

export const nodes = queryOptions({ queryKey: ['fleet'], queryFn: ({ signal }) => ask(api.GET('/v1/nodes', { signal })) })
export const bins = queryOptions({ queryKey: ['bins'], queryFn: ({ signal }) => ask(api.GET('/v1/bins', { signal })) })
export const lanes = (place: string, windowS: number) =>
  queryOptions({
    queryKey: ['lanes', place, windowS],
    queryFn: ({ signal }) => ask(api.GET('/v1/places/{place}/lanes', { signal, params: { path: { place }, query: { window_s: windowS } } })),
  })

type Overview = {
  verdict: 'working' | 'idle' | 'attention' | 'stuck'
  text: string
  detail: string
  running: number
  waiting: number
  delayed: number
  jobs_active: number
  jobs_done_last_hour: number
  frames_per_s: number
  bins: Schemas['BinDocument'][]
  failures: { stage: string; code: string; text: string; jobs: number; filter: string }[]
  alerts_open: number
  at: string
}
type Session = { name: string; scope: string; tenant: string | null; open: boolean }
const json = async <T>(path: string, signal: AbortSignal): Promise<T> => (await (await raw(path, { signal })).json()) as T

export const overview = queryOptions({ queryKey: ['overview'], queryFn: ({ signal }) => json<Overview>('/v1/overview', signal) })
export const session = queryOptions({ queryKey: ['session'], staleTime: Infinity, queryFn: ({ signal }) => json<Session>('/v1/session', signal) })

/** One URL for each thing, with its filters in it; every page's code comes when it is opened. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from '@tanstack/react-router'
import { ErrorState, Skeleton } from './parts/States'
import * as find from './searches'
import { Shell } from './shell/Shell'
import { words } from './words'

const root = createRootRoute({ component: Shell })
const page = <P extends string, S extends Record<string, unknown>>(path: P, load: () => Promise<{ default: React.ComponentType }>, validateSearch: (given: Record<string, unknown>) => S) =>
  createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load), validateSearch })

const tree = root.addChildren([
  page('/', () => import('./pages/overview'), find.none),
  page('/videos', () => import('./pages/videos'), find.videos),
  page('/videos/$id', () => import('./pages/video'), find.video),
  page('/search', () => import('./pages/search'), find.search),
  page('/jobs', () => import('./pages/jobs'), find.jobs),
  page('/jobs/$id', () => import('./pages/job'), find.job),
  page('/fleet', () => import('./pages/fleet'), find.fleet),
  page('/alerts', () => import('./pages/alerts'), find.alerts),
  page('/settings', () => import('./pages/settings'), find.settings),
])

export const router = createRouter({
  routeTree: tree,
  parseSearch: find.parse,
  stringifySearch: find.write,
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultPendingMs: 300,
  defaultPendingComponent: () => <Skeleton rows={6} height={22} />,
  defaultErrorComponent: Broken,
  defaultNotFoundComponent: Nowhere,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

/** A page that broke; also one whose code is gone because the server was updated under it. */
function Broken({ error }: { error: unknown }) {
  const gone = error instanceof Error && /dynamically imported|module script|preload/i.test(error.message)
  return (
    <>
      <ErrorState error={error} title={gone ? words.shell.newVersion : words.shell.crashed} />
      <button type="button" className="btn" onClick={() => location.reload()}>{words.shell.reload}</button>
    </>
  )
}

function Nowhere() {
  return (
    <div className="state">
      <h1>{words.shell.nowhere}</h1>
      <p>{words.shell.nowhereText}</p>
      <Link to="/" className="btn">{words.shell.home}</Link>
    </div>
  )
}

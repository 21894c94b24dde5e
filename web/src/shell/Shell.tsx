import { Link, Outlet, useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react'
import { duration } from '../format'
import { Button } from '../parts/Button'
import { useNow } from '../parts/Time'
import { Toasts } from '../parts/Toast'
import { isDark, setPrefs, usePrefs } from '../prefs'
import { live, useLiveStatus } from '../useLive'
import { words } from '../words'
import { AlertTally } from './AlertTally'
import { Brand } from './Brand'
import { type Opened, useKeys } from './keys'
import { PLACES } from './places'
import { useKeyNeeded } from './session'
import { SignIn } from './SignIn'
import { Who } from './Who'

const Palette = lazy(() => import('./Palette'))
const KeySheet = lazy(() => import('./KeySheet'))
const say = words.shell
const STALE_MS = 10_000

export function Shell() {
  const keyNeeded = useKeyNeeded()
  return keyNeeded ? <SignIn /> : <House />
}

function House() {
  const [opened, setOpened] = useState<Opened>(null)
  useKeys(setOpened)
  const main = useFocusOnNewPage()
  const close = useCallback((open: boolean) => (open ? undefined : setOpened(null)), [])
  return (
    <>
      <a className="skip" href="#main">{say.skip}</a>
      <div className="shell">
        <header className="rail">
          <Brand />
          <nav aria-label={say.places}>
            <ul>
              {PLACES.map((place) => (
                <li key={place.to}>
                  <Link to={place.to} activeOptions={{ exact: place.to === '/' }}>{place.label}{place.to === '/alerts' && <AlertTally />}</Link>
                </li>
              ))}
            </ul>
          </nav>
          <Foot open={setOpened} />
        </header>
        <main id="main" className="page" tabIndex={-1} ref={main}>
          <Stale />
          <Outlet />
        </main>
      </div>
      <Toasts />
      <Suspense fallback={null}>
        {opened === 'palette' && <Palette onOpen={close} />}
        {opened === 'sheet' && <KeySheet onOpen={close} />}
      </Suspense>
    </>
  )
}

function Foot({ open }: { open: (what: Opened) => void }) {
  const { state } = useLiveStatus()
  const dark = isDark(usePrefs())
  const text = { live: say.live, starting: say.starting, lost: say.lost }[state]
  return (
    <div className="rail-foot">
      <span className={`live ${state === 'live' ? 'live-on' : state === 'lost' ? 'live-lost' : ''}`} role="status">
        <span className="dot" aria-hidden>{state === 'live' ? '●' : '○'}</span>{text}
      </span>
      <Button onClick={() => open('palette')} aria-keyshortcuts="Control+K"><span className="long">{say.commands}</span><kbd className="kbd">Ctrl K</kbd></Button>
      <Button className="long" onClick={() => open('sheet')}>{say.keys} <kbd className="kbd">?</kbd></Button>
      <Button aria-label={dark ? say.light : say.dark} onClick={() => setPrefs({ theme: dark ? 'light' : 'dark' })}><span aria-hidden>{dark ? '☀' : '☾'}</span><span className="long">{dark ? say.light : say.dark}</span></Button>
      <Who />
    </div>
  )
}

/** Said only when it lasts: a moment's loss is mended before anybody reads of it. */
function Stale() {
  const { state } = useLiveStatus()
  return state === 'lost' ? <StaleSince /> : null
}

function StaleSince() {
  const { sinceMs } = useLiveStatus()
  const now = useNow()
  if (now - sinceMs < STALE_MS) return null
  return (
    <div className="note warn stale" role="status">
      <span className="grow">{say.stale(duration(Math.round((now - sinceMs) / 1000)))}</span>
      <Button small onClick={() => live.again()}>{say.reconnect}</Button>
    </div>
  )
}

/** A new page begins at its top, for the eyes and for a screen reader. Parameters that change are no new page. */
function useFocusOnNewPage() {
  const main = useRef<HTMLElement>(null)
  const path = useRouterState({ select: (router) => router.location.pathname })
  const first = useRef(path)
  useEffect(() => {
    if (first.current === path) return
    first.current = path
    main.current?.focus({ preventScroll: true })
  }, [path])
  return main
}

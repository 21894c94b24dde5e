/** Keys that act on every page. Single keys can be turned off (WCAG 2.1.4), and never act while somebody writes. */
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { prefs } from '../prefs'
import { PLACES } from './places'

const WAIT_MS = 1200 // for the second key after `g`
const writes = (target: EventTarget | null) => target instanceof HTMLElement && (target.isContentEditable || target.matches('input:not([type=checkbox]):not([type=radio]), textarea, select'))

export type Opened = 'palette' | 'sheet' | null

export function useKeys(open: (what: Opened) => void): void {
  const navigate = useNavigate()
  const went = useRef(0)
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        open('palette')
        return
      }
      if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || !prefs().keys || event.defaultPrevented) return
      if (document.querySelector('[role="dialog"]')) return
      const place = Date.now() - went.current < WAIT_MS ? PLACES.find((one) => one.key === event.key) : undefined
      went.current = event.key === 'g' ? Date.now() : 0
      if (place) {
        event.preventDefault()
        void navigate({ to: place.to })
      } else if (event.key === '?') open('sheet')
      else if (event.key === '/') {
        const field = document.querySelector<HTMLInputElement>('[data-find]')
        if (field) {
          event.preventDefault()
          field.focus()
          field.select()
        }
      }
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [navigate, open])
}

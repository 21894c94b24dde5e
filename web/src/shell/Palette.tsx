import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Command } from 'cmdk'
import { Dialog as Radix } from 'radix-ui'
import { useState } from 'react'
import { setPaused } from '../actions'
import { asProblem } from '../parts/States'
import { toast } from '../parts/Toast'
import { isDark, setPrefs, usePrefs } from '../prefs'
import { bins } from '../queries'
import { words } from '../words'
import { PLACES } from './places'

const say = words.palette
const JOB = /^job_[0-9A-Za-z]{4,}$/
const VIDEO = /^vid_[0-9A-Za-z]{4,}$/

/** Ctrl+K: where to, or what to do. */
export default function Palette({ onOpen }: { onOpen: (open: boolean) => void }) {
  const navigate = useNavigate()
  const [text, setText] = useState('')
  const dark = isDark(usePrefs())
  const known = useQuery(bins).data?.items ?? []
  const wish = text.trim()
  const go = (act: () => unknown) => () => {
    onOpen(false)
    void Promise.resolve(act()).catch((error: unknown) => toast(asProblem(error).message))
  }
  return (
    <Radix.Root open onOpenChange={onOpen}>
      <Radix.Portal>
        <div className="veil" aria-hidden />
        <Radix.Content className="palette" aria-describedby={undefined}>
          <Radix.Title className="unseen">{say.label}</Radix.Title>
          <Command label={say.label}>
            <Command.Input value={text} onValueChange={setText} placeholder={say.placeholder} />
            <Command.List label={say.label}>
              <Command.Empty>{say.empty}</Command.Empty>
              {wish && (
                <Command.Group heading={say.find} forceMount>
                  {JOB.test(wish) && <Command.Item forceMount value={`job ${wish}`} onSelect={go(() => navigate({ to: '/jobs/$id', params: { id: wish } }))}>{say.openJob(wish)}</Command.Item>}
                  {VIDEO.test(wish) && <Command.Item forceMount value={`video ${wish}`} onSelect={go(() => navigate({ to: '/videos/$id', params: { id: wish } }))}>{say.openVideo(wish)}</Command.Item>}
                  {!JOB.test(wish) && !VIDEO.test(wish) && <Command.Item forceMount value={`search ${wish}`} onSelect={go(() => navigate({ to: '/search', search: { q: wish } }))}>{say.search(wish)}</Command.Item>}
                </Command.Group>
              )}
              <Command.Group heading={say.go}>
                {PLACES.map((place) => (
                  <Command.Item key={place.to} onSelect={go(() => navigate({ to: place.to }))}>
                    {place.label}
                    <span><kbd className="kbd">g</kbd> <kbd className="kbd">{place.key}</kbd></span>
                  </Command.Item>
                ))}
              </Command.Group>
              <Command.Group heading={say.act}>
                <Command.Item onSelect={go(() => setPrefs({ theme: dark ? 'light' : 'dark' }))}>{dark ? words.shell.light : words.shell.dark}</Command.Item>
                {known.map((bin) => {
                  const name = words.bins[bin.name] ?? bin.name
                  return <Command.Item key={bin.name} onSelect={go(() => setPaused(bin, !bin.paused))}>{bin.paused ? say.resume(name) : say.pause(name)}</Command.Item>
                })}
              </Command.Group>
            </Command.List>
          </Command>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

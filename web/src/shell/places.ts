import { words } from '../words'

/** The seven places, and the key that goes there after `g`. */
export const PLACES = [
  { to: '/', key: 'o', label: words.places.overview },
  { to: '/videos', key: 'v', label: words.places.videos },
  { to: '/search', key: 's', label: words.places.search },
  { to: '/jobs', key: 'j', label: words.places.jobs },
  { to: '/fleet', key: 'f', label: words.places.fleet },
  { to: '/alerts', key: 'a', label: words.places.alerts },
  { to: '/settings', key: 't', label: words.places.settings },
] as const

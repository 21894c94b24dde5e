/** Every word the dashboard says, in one table, ready to be said in another language. A page's words stand in its own part. */
const n = (count: number, one: string, many = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`

export const words = {
  product: 'vidprocme',
  places: {
    overview: 'Overview', videos: 'Videos', search: 'Search', jobs: 'Jobs', fleet: 'Fleet', alerts: 'Alerts', settings: 'Settings',
  },
  bins: { urgent: 'Urgent', high: 'High', normal: 'Normal', bulk: 'Bulk' } as Record<string, string>,
  stages: {
    probe: 'probe', transcode: 'transcode', frames: 'frames', join: 'join', describe: 'describe', index: 'index',
  } as Record<string, string>,
  states: {
    waiting: 'Waiting', running: 'Running', succeeded: 'Done', failed: 'Failed', cancelled: 'Cancelled', cancelling: 'Being cancelled',
    partial: 'Partly done', blocked: 'Waits for others', ready: 'Ready', delayed: 'Tries again', dead: 'Out of tries', lost: 'Lost', timeout: 'Took too long',
    ok: 'Done', working: 'Working', draining: 'Draining', idle: 'Idle', paused: 'Paused', open: 'Open', acknowledged: 'Acknowledged',
    silenced: 'Silenced', resolved: 'Over',
  } as Record<string, string>,
  severities: { info: 'For information', warning: 'Warning', critical: 'Critical' } as Record<string, string>,
  common: {
    add: 'Add videos', retry: 'Try again', close: 'Close', cancel: 'Cancel', copy: 'Copy', copied: 'Copied', more: 'Show more', all: 'All', none: 'None',
    loading: 'Loading', ago: (text: string) => `${text} ago`, now: 'just now', ahead: (text: string) => `in ${text}`, unknown: 'unknown', back: 'Back',
    requestId: (id: string) => `Request ${id}`, evidence: 'What was seen', fromCommandLine: 'From the command line',
  },
  shell: {
    skip: 'Skip to content', places: 'Places', commands: 'Commands', dark: 'Dark theme', light: 'Light theme', keys: 'Keyboard', signOut: 'Sign out',
    live: 'Live', starting: 'Connecting', lost: 'Not connected', alertsOpen: (count: number) => n(count, 'open alert'),
    stale: (for_: string) => `Not connected to the server for ${for_}. What you see is as it was then.`, reconnect: 'Connect now',
    crashed: 'This page broke', crashedText: 'That is a fault of the dashboard. The server and its jobs go on.', reload: 'Load the page anew',
    nowhere: 'There is no such page', nowhereText: 'The address may be mistyped, or what it named may be gone.', home: 'Go to the overview',
    newVersion: 'The server was updated. Load the page anew to go on.',
  },
  signIn: {
    title: 'Sign in', text: 'This server asks for a key.', key: 'Key', hint: 'An admin makes one with: vidprocme keys add', submit: 'Sign in',
    empty: 'Paste the key first.', out: 'Signed out.',
  },
  palette: {
    label: 'Commands', placeholder: 'Where to, or what to do?', empty: 'Nothing goes by these words. An id of a job or video opens it.', go: 'Go to', act: 'Do', find: 'Find',
    openJob: (id: string) => `Open job ${id}`, openVideo: (id: string) => `Open video ${id}`, search: (text: string) => `Search videos for “${text}”`,
    pause: (bin: string) => `Pause ${bin}`, resume: (bin: string) => `Resume ${bin}`,
  },
  keySheet: {
    title: 'Keyboard', on: 'Single keys act', palette: 'Commands', sheet: 'This sheet', find: 'Find on this page', go: (place: string) => `Go to ${place}`,
    strip: 'Move along a strip', theme: 'Switch the theme',
  },
  errors: {
    offline: 'The server does not answer.', offlineHint: 'Look whether it runs: vidprocme up', odd: 'The server answered something that is no document.',
    title: 'This could not be loaded', action: 'This could not be done',
  },
  strip: { nothing: 'nothing ran', running: 'runs', axisAgo: (text: string) => `${text} ago`, now: 'now' },
  chart: { table: (title: string) => `${title}, as a table`, time: 'Time', value: 'Value' },

  overview: {
    title: 'Overview', summary: (running: number, waiting: number, frames: string) => `${n(running, 'task')} running, ${n(waiting, 'task')} waiting, ${frames} frames described per second.`,
    bins: 'Bins', running: (count: number) => `${count.toLocaleString('en')} running`, oldest: (text: string) => `oldest waits ${text}`, nothingWaits: 'none waits',
    waiting: 'waiting', paused: 'paused', limit: (count: number) => `limit ${count}`, resume: (bin: string) => `Resume ${bin}`, pause: (bin: string) => `Pause ${bin}`,
    binMenu: (bin: string) => `What can be done with ${bin}`, resumed: (bin: string) => `${bin} goes on.`, pausedNow: (bin: string) => `${bin} is paused. What runs goes on to its end.`,
    spark: (bin: string) => `${bin}: attempts that ended well, per minute, last half hour`,
    places: 'What ran where, last five minutes', wholeFleet: 'Whole fleet', noPlaces: 'No machine is here.', noPlacesHint: 'Start a pool: vidprocme up, or vidprocme worker on another machine.',
    frames: 'Frames described per minute', attempts: 'Work done per minute', attemptsUnit: 'attempts',
    failures: 'Failed in the last hour, by cause', noFailures: 'Nothing failed.', cause: 'Cause', jobs: 'Jobs', show: 'Show', showThese: (count: number) => `Show ${n(count, 'job')}`,
    alerts: (count: number) => `${n(count, 'alert')} open`, seeAlerts: 'See alerts', empty: 'Nothing has been done here yet', emptyText: 'Add a video: it is transcoded, described and made searchable.',
  },
  fleet: {
    title: 'Fleet', sub: (nodes: number, places: number, busy: number) => `${n(nodes, 'machine')}, ${n(places, 'place')}, ${busy.toLocaleString('en')} at work.`,
    empty: 'No machine is here', emptyText: 'A machine shows up when a pool runs on it.', window: 'Time span', windows: { 300: '5 minutes', 900: '15 minutes', 3600: '1 hour' } as Record<number, string>,
    drain: (node: string) => `Drain ${node}`, undrain: (node: string) => `Let ${node} take work`, drainAsk: (node: string) => `Drain ${node}?`,
    drainText: 'It takes nothing new; what runs there goes on to its end. Then it can be switched off.', drained: (node: string) => `${node} takes nothing new.`, undrained: (node: string) => `${node} takes work again.`,
    drainedBy: (who: string) => `drained by ${who}`, pools: (count: number) => n(count, 'pool'), since: 'up since', busy: 'busy', slots: (busy: number, slots: number) => `${busy} of ${slots} in use`,
    vram: 'GPU memory', temperature: 'temperature', utilization: 'use, as the driver says', warm: 'loaded', simulated: 'simulated', now: 'now',
    kinds: { gpu: 'GPU', cpu: 'cores', server: 'model server' } as Record<string, string>, lane: (place: string, lane: number, lanes: number) => (lanes > 1 ? `${place}, lane ${lane} of ${lanes}` : place),
    span: (stage: string, took: string, outcome: string | null) => `${stage}, ${took}${outcome && outcome !== 'ok' ? `, ${outcome}` : ''}`, works: (text: string) => `Works: ${text}`, idle: 'Idle',
  },
  videos: { title: 'Videos' },
  video: { title: 'Video' },
  search: { title: 'Search' },
  jobs: { title: 'Jobs' },
  job: { title: 'Job' },
  alerts: { title: 'Alerts' },
  settings: { title: 'Settings' },
}

export const count = n

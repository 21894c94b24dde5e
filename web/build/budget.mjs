// What a first visit loads, counted from the manifest: the entry and all that it imports before a page is shown.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const MOST_BYTES = 130_000 // of gzipped JavaScript
const root = new URL('../../src/vidprocme/ui/', import.meta.url).pathname
const manifest = JSON.parse(readFileSync(join(root, '.vite/manifest.json'), 'utf8'))

function loaded(key, seen = new Set()) {
  if (seen.has(key)) return seen
  seen.add(key)
  for (const next of manifest[key].imports ?? []) loaded(next, seen)
  return seen
}
const size = (keys) => [...keys].filter((key) => manifest[key].file.endsWith('.js')).reduce((sum, key) => sum + gzipSync(readFileSync(join(root, manifest[key].file))).length, 0)
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`

const first = loaded('index.html')
const total = size(first)
console.log(`first load: ${kB(total)} of JavaScript, gzipped (at most ${kB(MOST_BYTES)})`)
for (const key of Object.keys(manifest).filter((name) => manifest[name].isDynamicEntry)) {
  console.log(`  ${manifest[key].src ?? key}: +${kB(size([...loaded(key)].filter((one) => !first.has(one))))}`)
}
if (total > MOST_BYTES) {
  console.error(`error: the first load is ${kB(total - MOST_BYTES)} over its budget: load what is not needed at once with import()`)
  process.exit(1)
}

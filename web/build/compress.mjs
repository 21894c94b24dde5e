// Beside every text that is served its .br and .gz, made once: the server only picks one.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const root = new URL('../../src/vidprocme/ui/', import.meta.url).pathname
for (const name of readdirSync(root, { recursive: true })) {
  const path = join(root, name)
  if (!statSync(path).isFile() || !/\.(js|css|html|svg|json)$/.test(name) || statSync(path).size < 1024) continue
  const text = readFileSync(path)
  writeFileSync(`${path}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
  writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }))
}

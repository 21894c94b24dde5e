import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// The server itself serves what is built here; `npm run dev` (vite) hands everything else on to one that runs.
const server = process.env.VIDPROCME_SERVER ?? 'http://127.0.0.1:8484'

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    outDir: '../src/vidprocme/ui',
    emptyOutDir: true,
    manifest: true,
    assetsInlineLimit: 0, // a strict Content-Security-Policy takes no data: fonts or scripts
    modulePreload: { polyfill: false },
  },
  server: { host: '127.0.0.1', proxy: { '/v1': { target: server, changeOrigin: true } } },
  test: { include: ['tests/**/*.test.{ts,tsx}'] },
})

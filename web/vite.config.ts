import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    outDir: fileURLToPath(new URL("../src/vidprocme/ui", import.meta.url)),
    emptyOutDir: true,
    manifest: true,
    assetsInlineLimit: 0, // the content security policy allows files of ours, and no data: URLs
  },
  server: { host: "127.0.0.1", proxy: { "/v1": "http://127.0.0.1:8484" } },
  test: { environment: "jsdom", include: ["tests/**/*.test.{ts,tsx}"] },
});

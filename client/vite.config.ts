import { fileURLToPath } from 'node:url';

import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const here = fileURLToPath(new URL('.', import.meta.url));
const server = process.env.JOBCAST_SERVER ?? 'http://127.0.0.1:5000';

export default defineConfig({
  // Relative, so that the dashboard works below any path.
  base: './',
  plugins: [react()],
  resolve: { alias: { '@': here.replace(/\/$/, '') } },
  build: {
    outDir: '../jobcast/flask/static',
    emptyOutDir: true,
    // The server's Content-Security-Policy is default-src 'self': nothing may become a data: URL.
    assetsInlineLimit: 0,
  },
  server: {
    port: 5173,
    proxy: {
      '/api': server,
      '/examples': server,
      '/socket.io': { target: server, ws: true },
    },
  },
  test: {
    environment: 'jsdom',
    include: ['tests/**/*.test.{ts,tsx}'],
    setupFiles: ['tests/setup.ts'],
    testTimeout: 5000,
  },
});

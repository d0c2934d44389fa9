import { defineConfig } from 'vite';

/** `jobcast.js`: the client without React, in one file, as the global `Jobcast`. */
export default defineConfig({
  build: {
    outDir: '../jobcast/flask/static',
    emptyOutDir: false,
    lib: { entry: 'core/browser.ts', formats: ['iife'], name: 'Jobcast', fileName: () => 'jobcast.js' },
  },
});

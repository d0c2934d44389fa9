// @vitest-environment node

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

const CORE = new URL('../core/', import.meta.url);
const FOREIGN = /(?:from|import)\s+'([^.'][^']*)'/g;

test('the core imports socket.io-client and nothing else, React least of all', () => {
  const sources = readdirSync(fileURLToPath(CORE)).map((name) => {
    return readFileSync(new URL(name, CORE), 'utf8');
  });
  const imported = sources.flatMap((text) => [...text.matchAll(FOREIGN)].map(([, name]) => name));
  expect(new Set(imported)).toEqual(new Set(['socket.io-client']));
});

test('of the hooks, the core knows the generated types only', () => {
  const outside = /from '\.\.\/([^']+)'/g;
  const sources = readdirSync(fileURLToPath(CORE)).map((name) => {
    return readFileSync(new URL(name, CORE), 'utf8');
  });
  const imported = sources.flatMap((text) => [...text.matchAll(outside)].map(([, name]) => name));
  expect(new Set(imported)).toEqual(new Set(['hooks/types']));
});

// Writes hooks/types.ts from the Python models.
//
//   python -m jobcast.schema | node scripts/generate-types.mjs -     schema from stdin, types to stdout
//   PYTHON=.venv/bin/python npm run types                            asks $PYTHON, writes the file

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { compile } from 'json-schema-to-typescript';

const TARGET = fileURLToPath(new URL('../hooks/types.ts', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

const OPTIONS = {
  additionalProperties: false,
  bannerComment: '// Generated from jobcast/models.py by scripts/generate-types.mjs. Do not edit.',
  // The length and range limits are the server's to check; as tuple types they would only be noise.
  ignoreMinAndMaxItems: true,
  style: { printWidth: 100, singleQuote: true },
};

function schemaFromPython() {
  const python = process.env.PYTHON ?? 'python3';
  const options = { cwd: REPOSITORY, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
  return execFileSync(python, ['-m', 'jobcast.schema'], options);
}

const fromStdin = process.argv.includes('-');
const schema = JSON.parse(fromStdin ? readFileSync(0, 'utf8') : schemaFromPython());
const types = await compile(schema, 'WirePayload', OPTIONS);

if (fromStdin) process.stdout.write(types);
else writeFileSync(TARGET, types);

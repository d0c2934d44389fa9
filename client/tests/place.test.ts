// @vitest-environment node

import { expect, test } from 'vitest';

import { socketPlace } from '@/core/connection';

test.each([
  ['http://a.test', undefined, 'http://a.test', '/socket.io'],
  ['http://a.test/app', undefined, 'http://a.test', '/app/socket.io'],
  ['http://a.test/jobcast', '/socket.io', 'http://a.test', '/socket.io'],
])('the Socket.IO of %s with the path %s is found', (url, path, origin, expected) => {
  expect(socketPlace(url, path)).toEqual({ origin, path: expected });
});

import { cleanup } from '@testing-library/react';
import { afterEach } from 'vitest';

// jsdom brings a FormData of its own, which Node's fetch cannot send.
const form = await new Response(new URLSearchParams()).formData();
globalThis.FormData = form.constructor as typeof FormData;

afterEach(() => {
  cleanup();
});

/** What a page without a build step gets as the global `Jobcast`. */
export { JobcastClient } from './client';
export { JobcastError } from './errors';

import type { ErrorDetail } from '../hooks/types';

/**
 * A refusal by the server, over the socket or over HTTP. `code` is one of the wire contract's,
 * `unreachable`, or `http-` and a status that came without one.
 */
export class JobcastError extends Error {
  override readonly name = 'JobcastError';

  constructor(
    readonly code: string,
    message: string,
    /** Milliseconds the server asked to wait before the next try. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }
}

export function refusalOf({ code, message, retryAfterMs }: ErrorDetail): JobcastError {
  return new JobcastError(code, message, retryAfterMs);
}

/** Refusals that may be answered otherwise a moment later; the rest stay refused. */
const TEMPORARY = new Set(['not-found', 'rate-limited', 'too-many-subscriptions', 'unavailable']);

export function isTemporary(code: string): boolean {
  return TEMPORARY.has(code);
}

export function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

import { JobcastError } from './errors';

/** A token for the server, or a promise of one; asked for again with every request. */
export type GetToken = () => string | Promise<string>;

/** Remembers what a route answered last, so that an unchanged answer costs no body. */
export interface Memo {
  etag?: string;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  readonly memo?: Memo;
}

interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
}

/** JSON over HTTP, with the token, and with refusals (RFC 9457) as `JobcastError`. */
export class Http {
  constructor(
    private readonly origin: string,
    private readonly getToken?: GetToken,
  ) {}

  /** The body; null when nothing changed since `memo` or when the resource is not known (yet). */
  async read<T>(path: string, { signal, memo }: ReadOptions = {}): Promise<T | null> {
    const headers = memo?.etag === undefined ? {} : { 'If-None-Match': memo.etag };
    const response = await this.request(path, { headers, signal: signal ?? null });
    if (response.status === 304 || response.status === 404) return null;
    await throwIfRefused(response);
    remember(memo, response);
    return (await response.json()) as T;
  }

  /** Sends JSON, a form or nothing; returns the body of the answer, null when there is none. */
  async send<T>(method: string, path: string, body?: object): Promise<T | null> {
    const response = await this.request(path, { method, ...encode(body) });
    await throwIfRefused(response);
    return response.status === 204 ? null : ((await response.json()) as T);
  }

  /** A file, as a form wants it. */
  async file(path: string): Promise<Blob> {
    const response = await this.request(path, {});
    await throwIfRefused(response);
    return response.blob();
  }

  private async request(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('Accept', 'application/json, */*;q=0.5');
    if (this.getToken) headers.set('Authorization', `Bearer ${await this.getToken()}`);
    return reach(this.origin + path, { ...init, headers });
  }
}

/** Raised as a refusal too, in words of our own: each browser has others for it. */
export const UNREACHABLE = 'unreachable';

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (reason) {
    if (!(reason instanceof TypeError)) throw reason;
    throw new JobcastError(UNREACHABLE, 'the server cannot be reached');
  }
}

function encode(body: object | undefined): RequestInit {
  if (body === undefined) return {};
  if (body instanceof FormData) return { body };
  return { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
}

function remember(memo: Memo | undefined, response: Response): void {
  // Optional for the sake of applications' tests, whose mocked answers rarely have headers.
  const etag = (response.headers as Headers | undefined)?.get('ETag');
  if (memo && typeof etag === 'string') memo.etag = etag;
}

async function throwIfRefused(response: Response): Promise<void> {
  if (response.ok) return;
  const problem = await readProblem(response);
  const message = problem.detail ?? problem.title ?? `the server answered ${response.status}`;
  throw new JobcastError(problem.code ?? `http-${response.status}`, message, retryAfter(response));
}

async function readProblem(response: Response): Promise<Problem> {
  if (!response.headers.get('Content-Type')?.includes('json')) return {};
  return (await response.json()) as Problem;
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get('Retry-After') ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

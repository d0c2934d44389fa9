import { JobcastError } from './errors';

/** Milliseconds. */
export type Milliseconds = number;

/** Reads again and again while there is no push: at once, then after every interval. */
export class Poller {
  private stopping: AbortController | undefined;

  constructor(
    private readonly read: (signal: AbortSignal) => Promise<void>,
    private readonly interval: () => Milliseconds,
    private readonly onError: (reason: unknown) => void,
  ) {}

  get running(): boolean {
    return this.stopping !== undefined;
  }

  start(): void {
    if (this.running) return;
    this.stopping = new AbortController();
    void this.run(this.stopping.signal);
  }

  /** Also abandons the request that is under way. */
  stop(): void {
    this.stopping?.abort();
    this.stopping = undefined;
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await sleep(await this.once(signal), signal);
  }

  /** Reads once; returns how long to wait before the next time. */
  private async once(signal: AbortSignal): Promise<Milliseconds> {
    try {
      await this.read(signal);
      return this.interval();
    } catch (reason) {
      if (!signal.aborted) this.onError(reason);
      return Math.max(this.interval(), askedToWait(reason));
    }
  }
}

function askedToWait(reason: unknown): Milliseconds {
  return reason instanceof JobcastError ? (reason.retryAfterMs ?? 0) : 0;
}

function sleep(duration: Milliseconds, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, duration);
    signal.addEventListener('abort', wake);
    if (signal.aborted) wake();
  });
}

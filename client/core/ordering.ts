/** What every event of a topic may carry; stock emits from elsewhere carry neither. */
export interface Sequenced {
  readonly sequence?: number;
  readonly epoch?: string;
}

/** An event as it came off the wire. */
export interface Incoming<D extends Sequenced = Sequenced> {
  readonly name: string;
  readonly data: D;
}

/** Where the server says that a topic stands. */
export interface Standing extends Sequenced {
  /** Exactly the events after the `since` that was asked for will follow. */
  readonly recovered?: boolean;
}

/** Where to resume: everything up to `since` is known. */
export interface Resume {
  readonly since: number;
  readonly epoch?: string;
}

/** What has to happen because of one arrival, in this order. */
export interface Step<E> {
  /** Forget the state: what follows is the whole of it. */
  readonly reset: boolean;
  /** Fold these into the state. */
  readonly apply: readonly E[];
  /** Something is missing: subscribe again from `resume()`. */
  readonly resync: boolean;
}

export const NOTHING: Step<never> = { reset: false, apply: [], resync: false };
export const RESYNC: Step<never> = { reset: false, apply: [], resync: true };

export function applying<E>(...apply: E[]): Step<E> {
  return { reset: false, apply, resync: false };
}

/**
 * Decides which arrivals count. No clock, no I/O: only sequence and epoch, as section 3 of the wire
 * contract explains them.
 */
export interface Ordering<E extends Incoming> {
  /** The epoch the topic is in; undefined as long as nobody said. */
  readonly epoch: string | undefined;
  /** An event was pushed, live or replayed. */
  receive(event: E): Step<E>;
  /** The server answered a subscription. */
  subscribed(standing: Standing): Step<E>;
  /** The whole state was read: take the page, then apply. Null: the page is older than the state. */
  polled(page: Sequenced): Step<E> | null;
  /** Undefined as long as nothing is known. */
  resume(): Resume | undefined;
}

export function resumeAt(since: number | undefined, epoch: string | undefined): Resume | undefined {
  if (since === undefined) return undefined;
  return epoch === undefined ? { since } : { since, epoch };
}

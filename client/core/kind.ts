import type { Incoming, Ordering, Sequenced } from './ordering';

/** What the three kinds of topic differ in; the table in section 1 of the wire contract. */
export interface Kind<State, Page extends Sequenced, Event extends Incoming> {
  readonly namespace: string;
  readonly idField: 'jobId' | 'userId' | 'brandId';
  readonly subscribeEvent: string;
  readonly unsubscribeEvent: string;
  readonly events: readonly Event['name'][];
  /**
   * The payloads do not say whose they are, so that two topics of this kind cannot share a socket.
   */
  readonly ownSocket: boolean;
  /** Read the whole state after a subscription that could not resume. */
  readonly readAfterReset: boolean;
  readonly initial: State;
  /** The polling route; `limit` is how many entries are wanted. */
  path(id: string, limit: number): string;
  /** Whether a pushed payload is about this topic. */
  concerns(id: string, data: object): boolean;
  ordering(): Ordering<Event>;
  fold(state: State, event: Event, limit: number): State;
  /** What remains when the server's part of the state is forgotten. */
  reset(state: State): State;
  replace(state: State, page: Page, limit: number): State;
}

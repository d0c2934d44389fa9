import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Gapless } from '@/core/gapless';
import type { Incoming, Step } from '@/core/ordering';

const events = (from: number, to: number, epoch = 'a'): Incoming[] =>
  Array.from({ length: to - from + 1 }, (_, i) => event(from + i, epoch));

function event(sequence: number, epoch = 'a'): Incoming {
  return { name: 'happened', data: { sequence, epoch } };
}

/** A client's state: which sequences are in it, in the order in which they came to be. */
class State {
  readonly ordering = new Gapless<Incoming>();
  shown: (number | undefined)[] = [];
  resyncs = 0;

  take(step: Step<Incoming> | null, page?: number): void {
    if (step === null) return;
    if (page !== undefined) this.shown = events(1, page).map(({ data }) => data.sequence);
    else if (step.reset) this.shown = [];
    this.shown.push(...step.apply.map(({ data }) => data.sequence));
    if (step.resync) this.resyncs += 1;
  }

  receive(...arrivals: Incoming[]): void {
    for (const each of arrivals) this.take(this.ordering.receive(each));
  }

  subscribed(sequence: number, recovered = false, epoch = 'a'): void {
    this.take(this.ordering.subscribed({ sequence, recovered, epoch }));
  }

  polled(sequence: number, epoch = 'a'): void {
    this.take(this.ordering.polled({ sequence, epoch }), sequence);
  }
}

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

/** Numbers 1 to `last` in any order, some twice and some missing. */
const scrambled = (last: number) => fc.array(fc.integer({ min: 1, max: last }), { maxLength: 60 });

describe('Gapless', () => {
  test('shows every event once and in order, whatever was shuffled, doubled or lost', () => {
    fc.assert(
      fc.property(scrambled(20), (arrivals) => {
        const state = new State();
        state.subscribed(0);
        state.receive(...arrivals.map((sequence) => event(sequence)));
        expect(state.shown).toEqual(upTo(state.shown.length));
        const since = state.ordering.resume()?.since ?? 0;
        expect(since).toBe(state.shown.length);
        state.subscribed(20, true);
        state.receive(...events(since + 1, 20));
        expect(state.shown).toEqual(upTo(20));
      }),
    );
  });

  test('loses nothing when pages and resumes come between the events', () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('push' as const), n: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ do: fc.constant('page' as const), n: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ do: fc.constant('fresh' as const), n: fc.integer({ min: 0, max: 20 }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const state = new State();
        for (const { do: what, n } of actions) {
          if (what === 'push') state.receive(event(n));
          if (what === 'page') state.polled(n);
          if (what === 'fresh') {
            state.subscribed(n);
            state.receive(...events(1, n));
          }
        }
        state.polled(20);
        state.receive(event(21));
        expect(state.shown).toEqual(upTo(21));
      }),
    );
  });

  test('a hole asks for what is missing and holds back what lies beyond', () => {
    const state = new State();
    state.subscribed(2);
    state.receive(event(3), event(6));
    expect(state.shown).toEqual([3]);
    expect(state.resyncs).toBe(1);
    expect(state.ordering.resume()).toEqual({ since: 3, epoch: 'a' });
    state.subscribed(6, true);
    state.receive(...events(4, 6));
    expect(state.shown).toEqual([3, 4, 5, 6]);
  });

  test('the state that follows a fresh subscription is taken, gaps and all, but once', () => {
    const state = new State();
    state.subscribed(9);
    state.receive(event(4), event(7), event(7), event(10));
    expect(state.shown).toEqual([4, 7, 10]);
    expect(state.resyncs).toBe(0);
  });

  test('an event that overtakes the answer to the subscription is not lost', () => {
    const state = new State();
    state.receive(event(5));
    state.subscribed(4);
    state.receive(event(2), event(4), event(5), event(6));
    expect(state.shown).toEqual([5, 2, 4, 6]);
  });

  test('a page read before the last events is taken together with them', () => {
    const state = new State();
    state.subscribed(0);
    state.receive(...events(1, 5));
    state.polled(3);
    expect(state.shown).toEqual([1, 2, 3, 4, 5]);
  });

  test('a page that is older than another page is refused', () => {
    const state = new State();
    state.polled(10);
    state.polled(5);
    expect(state.shown).toEqual(upTo(10));
  });

  test('a new epoch asks for the state, and late events of the old one stay out', () => {
    const state = new State();
    state.subscribed(5);
    state.receive(event(1, 'b'));
    expect(state.resyncs).toBe(1);
    expect(state.ordering.resume()).toBeUndefined();
    state.subscribed(2, false, 'b');
    state.receive(...events(1, 2, 'b'), event(6, 'a'), event(3, 'b'));
    expect(state.shown).toEqual([1, 2, 3]);
  });

  test('a topic the server no longer knows is empty', () => {
    const state = new State();
    state.subscribed(0);
    state.receive(...events(1, 5));
    state.take(state.ordering.subscribed({ sequence: 0, recovered: false }));
    expect(state.shown).toEqual([]);
    state.receive(event(1, 'b'));
    expect(state.shown).toEqual([1]);
  });

  test('events without a sequence always count', () => {
    const state = new State();
    state.subscribed(3);
    state.receive({ name: 'happened', data: {} }, { name: 'happened', data: {} });
    expect(state.shown).toEqual([undefined, undefined]);
  });
});

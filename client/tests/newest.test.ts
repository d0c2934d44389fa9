import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Newest } from '@/core/newest';
import type { Incoming, Sequenced } from '@/core/ordering';

interface Data extends Sequenced {
  readonly value: string;
}
type Event = Incoming<Data>;

function event(sequence: number | undefined, epoch = 'a', value = `${epoch}${sequence}`): Event {
  const data = sequence === undefined ? { value } : { value, sequence, epoch };
  return { name: 'changed', data };
}

/** The values that got through. */
function deliver(ordering: Newest<Event>, events: readonly Event[]): string[] {
  return events.flatMap((each) => ordering.receive(each).apply).map(({ data }) => data.value);
}

describe('Newest', () => {
  test('ends on the newest event and never goes back, whatever the order and the repetitions', () => {
    const arrivals = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 });
    fc.assert(
      fc.property(arrivals, (sequences) => {
        const shown = deliver(new Newest(), sequences.map((sequence) => event(sequence)));
        const numbers = shown.map((value) => Number(value.slice(1)));
        expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
        expect(numbers.at(-1)).toBe(Math.max(...sequences));
      }),
    );
  });

  test('a hole is harmless', () => {
    const ordering = new Newest<Event>();
    expect(ordering.receive(event(1)).resync).toBe(false);
    expect(ordering.receive(event(9))).toMatchObject({ resync: false, apply: [event(9)] });
  });

  test('a new epoch starts over, and a late event of the old one does not come back', () => {
    const ordering = new Newest<Event>();
    expect(deliver(ordering, [event(7), event(1, 'b')])).toEqual(['a7', 'b1']);
    expect(ordering.receive(event(8))).toMatchObject({ apply: [], resync: true });
    expect(ordering.resume()).toEqual({ since: 1, epoch: 'b' });
  });

  test('the server may return to an epoch that was left', () => {
    const ordering = new Newest<Event>();
    deliver(ordering, [event(7), event(1, 'b')]);
    ordering.subscribed({ sequence: 7, epoch: 'a' });
    expect(deliver(ordering, [event(8)])).toEqual(['a8']);
  });

  test('events without a sequence always count and change no position', () => {
    const ordering = new Newest<Event>();
    const stock = event(undefined, '', 'stock');
    expect(deliver(ordering, [event(3), stock, stock, event(3)])).toEqual(['a3', 'stock', 'stock']);
    expect(ordering.resume()).toEqual({ since: 3, epoch: 'a' });
  });

  test('a page that is older than the state is refused', () => {
    const ordering = new Newest<Event>();
    deliver(ordering, [event(3)]);
    expect(ordering.polled({ sequence: 2, epoch: 'a' })).toBeNull();
    expect(ordering.polled({ sequence: 4, epoch: 'a' })).not.toBeNull();
    expect(deliver(ordering, [event(4)])).toEqual([]);
  });
});

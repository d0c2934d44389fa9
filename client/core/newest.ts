import { Epochs } from './epochs';
import type { Incoming, Ordering, Resume, Sequenced, Standing, Step } from './ordering';
import { applying, NOTHING, RESYNC, resumeAt } from './ordering';

/**
 * For topics whose every event is the whole state (jobs): the newest wins, and a hole is harmless,
 * because the server merges updates on purpose.
 */
export class Newest<E extends Incoming> implements Ordering<E> {
  private readonly epochs = new Epochs();
  private last: number | undefined;

  get epoch(): string | undefined {
    return this.epochs.current;
  }

  receive(event: E): Step<E> {
    const { sequence, epoch } = event.data;
    if (sequence === undefined) return applying(event);
    if (this.epochs.wasLeft(epoch)) return RESYNC;
    if (epoch !== undefined) this.enter(epoch);
    if (this.last !== undefined && sequence <= this.last) return NOTHING;
    this.last = sequence;
    return applying(event);
  }

  subscribed({ epoch }: Standing): Step<E> {
    if (epoch !== undefined) this.enter(epoch);
    return NOTHING;
  }

  polled(page: Sequenced): Step<E> | null {
    this.subscribed(page);
    if (page.sequence === undefined) return NOTHING;
    if (this.last !== undefined && page.sequence <= this.last) return null;
    this.last = page.sequence;
    return NOTHING;
  }

  resume(): Resume | undefined {
    return resumeAt(this.last, this.epoch);
  }

  private enter(epoch: string): void {
    if (!this.epochs.includes(epoch)) this.last = undefined;
    this.epochs.enter(epoch);
  }
}

import { Epochs } from './epochs';
import type { Incoming, Ordering, Resume, Sequenced, Standing, Step } from './ordering';
import { applying, NOTHING, RESYNC, resumeAt } from './ordering';

/** Events kept to be applied later, or once more on top of a page that was read meanwhile. */
const KEPT = 500;

/**
 * For topics whose events add up (notifications, analytics): each is applied once and in order.
 * An event beyond a hole waits until the hole is filled.
 */
export class Gapless<E extends Incoming> implements Ordering<E> {
  private readonly epochs = new Epochs();
  /** Every event up to here is in the state; undefined until the server said where it stands. */
  private covered: number | undefined;
  /** After a fresh subscription the state itself arrives as old events, up to this sequence. */
  private replayTo = 0;
  private readonly kept = new Map<number, E>();

  get epoch(): string | undefined {
    return this.epochs.current;
  }

  receive(event: E): Step<E> {
    const { sequence, epoch } = event.data;
    if (sequence === undefined) return applying(event);
    if (this.epochs.wasLeft(epoch)) return RESYNC;
    if (!this.epochs.includes(epoch)) return this.startOver(event, sequence);
    if (epoch !== undefined) this.epochs.enter(epoch);
    return this.kept.has(sequence) ? NOTHING : this.place(event, sequence);
  }

  subscribed(standing: Standing): Step<E> {
    if (standing.sequence === undefined) return NOTHING;
    const resumed = this.resumes(standing);
    this.replayTo = resumed ? 0 : standing.sequence;
    return resumed ? NOTHING : this.startFrom(standing.sequence, standing.epoch);
  }

  polled(page: Sequenced): Step<E> | null {
    if (page.sequence === undefined) return NOTHING;
    if (page.epoch === this.epoch && this.isBehind(page.sequence)) return null;
    this.replayTo = 0;
    return this.startFrom(page.sequence, page.epoch);
  }

  resume(): Resume | undefined {
    return resumeAt(this.covered, this.epoch);
  }

  /** The store lost the topic. The event is kept; the state it belongs to has to be asked for. */
  private startOver(event: E, sequence: number): Step<E> {
    this.enter(event.data.epoch);
    this.covered = undefined;
    this.keep(event, sequence);
    return RESYNC;
  }

  private place(event: E, sequence: number): Step<E> {
    if (this.covered !== undefined && sequence > this.covered) {
      this.keep(event, sequence);
      return this.drain(this.covered, false);
    }
    if (this.covered !== undefined && sequence > this.replayTo) return NOTHING;
    this.keep(event, sequence);
    return applying(event);
  }

  /** The state ends at `sequence`; what was kept of later events follows. */
  private startFrom(sequence: number, epoch: string | undefined): Step<E> {
    this.enter(epoch);
    for (const old of [...this.kept.keys()]) if (old <= sequence) this.kept.delete(old);
    return this.drain(sequence, true);
  }

  private drain(from: number, reset: boolean): Step<E> {
    const apply: E[] = [];
    for (let next = this.kept.get(from + 1); next; next = this.kept.get(from + apply.length + 1)) {
      apply.push(next);
    }
    this.covered = from + apply.length;
    return { reset, apply, resync: Math.max(...this.kept.keys()) > this.covered };
  }

  private enter(epoch: string | undefined): void {
    // Events that named no epoch yet may belong to the first one.
    if (this.epoch !== undefined && epoch !== this.epoch) this.kept.clear();
    this.epochs.enter(epoch);
  }

  private resumes({ recovered, epoch }: Standing): boolean {
    return recovered === true && this.covered !== undefined && epoch === this.epoch;
  }

  /** Older than events that are applied already and cannot be applied once more on top. */
  private isBehind(sequence: number): boolean {
    for (let next = sequence + 1; next <= (this.covered ?? 0); next += 1) {
      if (!this.kept.has(next)) return true;
    }
    return false;
  }

  private keep(event: E, sequence: number): void {
    this.kept.set(sequence, event);
    if (this.kept.size > KEPT) this.kept.delete(Math.min(...this.kept.keys()));
  }
}

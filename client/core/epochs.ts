const REMEMBERED = 8;

/**
 * The epoch a topic is in, and those it has left. A late event of an epoch that was left must not
 * bring its old state back; only the server's own word (`enter`) does.
 */
export class Epochs {
  current: string | undefined;
  private left: string[] = [];

  /** Whether an event belongs to the current epoch, as far as anybody said. */
  includes(epoch: string | undefined): boolean {
    return epoch === undefined || this.current === undefined || epoch === this.current;
  }

  wasLeft(epoch: string | undefined): boolean {
    return epoch !== undefined && this.left.includes(epoch);
  }

  /** The topic is in this epoch now; undefined means that the server does not know the topic. */
  enter(epoch: string | undefined): void {
    if (epoch === this.current) return;
    const left = this.current === undefined ? this.left : [...this.left, this.current];
    this.left = left.filter((old) => old !== epoch).slice(-REMEMBERED);
    this.current = epoch;
  }
}

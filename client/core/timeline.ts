import type { Sequenced } from './ordering';

/** Something with a place in time; the sequence decides, or, without one, the timestamp. */
export interface Dated extends Sequenced {
  readonly at: string;
}

function isLater(one: Dated, other: Dated): boolean {
  if (one.sequence !== undefined && other.sequence !== undefined) {
    return one.sequence > other.sequence;
  }
  return one.at > other.at;
}

/** `list` with `item` at its place; oldest first. */
export function insert<T>(list: readonly T[], item: T, date: (item: T) => Dated): readonly T[] {
  const dated = date(item);
  const before = list.findLastIndex((other) => !isLater(date(other), dated));
  return list.toSpliced(before + 1, 0, item);
}

export function isStored(item: Sequenced): boolean {
  return item.sequence !== undefined;
}

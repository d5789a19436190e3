// Something that comes and goes, walked in the order of its keys from any place on. Sorted when somebody walks it, not before.

/** What is walked: a Set, the keys of a Map, or anything of that shape. */
export interface Source<T> {
  readonly size: number;
  has(item: T): boolean;
  keys(): Iterable<T>;
}

/** What has come since the last walk is merged in once it is an eighth of the rest; fewer than this are not worth a look. */
const FEW = 64;
const FRESH_SHARE = 1 / 8;

/**
 * No two items have the same key, over all time. It costs nothing until it is walked; then 8 bytes for an item, and a comparison or
 * two for each that comes. It is forgotten when more has come or gone than is there: nobody walks it any more.
 */
export class Order<T, K extends string | number> {
  readonly #source: Source<T>;
  readonly #keyOf: (item: T) => K;
  #sorted: T[] | undefined;
  #fresh: T[] = [];
  #isFreshSorted = true;
  #removed = 0;

  constructor(source: Source<T>, keyOf: (item: T) => K) {
    this.#source = source;
    this.#keyOf = keyOf;
  }

  /** The source has this item now. */
  added(item: T): void {
    if (this.#sorted === undefined) return;
    this.#fresh.push(item);
    this.#isFreshSorted = false;
    if (this.#fresh.length > FEW + this.#source.size) this.#forget();
  }

  /** The source has one item less. */
  removed(): void {
    if (this.#sorted !== undefined && ++this.#removed > FEW + this.#source.size) this.#forget();
  }

  /** The items with a key above `key`, in order; undefined: all. Nothing may come or go during the walk. */
  after(key: K | undefined): Generator<T, void, undefined> {
    const sorted = this.#sort();
    return this.#walk(sorted, this.#fresh, key);
  }

  #sort(): T[] {
    this.#sorted ??= [...this.#source.keys()].sort(this.#compare);
    if (!this.#isFreshSorted) this.#fresh.sort(this.#compare);
    this.#isFreshSorted = true;
    const isMuch = this.#fresh.length > FEW && this.#fresh.length > this.#sorted.length * FRESH_SHARE;
    if (isMuch || this.#removed > FEW + this.#sorted.length / 2) {
      const merged = [...this.#walk(this.#sorted, this.#fresh, undefined)];
      this.#forget();
      this.#sorted = merged;
    }
    return this.#sorted;
  }

  *#walk(sorted: readonly T[], fresh: readonly T[], key: K | undefined): Generator<T, void, undefined> {
    let at = this.#firstAfter(sorted, key);
    let next = this.#firstAfter(fresh, key);
    let last = key;
    while (at < sorted.length || next < fresh.length) {
      const isFresh = at === sorted.length || (next < fresh.length && this.#compare(fresh[next] as T, sorted[at] as T) < 0);
      const item = (isFresh ? fresh[next++] : sorted[at++]) as T;
      const itsKey = this.#keyOf(item);
      // What has left and come again is there more than once.
      if (itsKey === last) continue;
      last = itsKey;
      if (this.#source.has(item)) yield item;
    }
  }

  #firstAfter(items: readonly T[], key: K | undefined): number {
    if (key === undefined) return 0;
    let from = 0;
    let to = items.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#keyOf(items[middle] as T) > key) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  #forget(): void {
    this.#sorted = undefined;
    this.#fresh = [];
    this.#isFreshSorted = true;
    this.#removed = 0;
  }

  readonly #compare = (one: T, other: T): number => {
    const left = this.#keyOf(one);
    const right = this.#keyOf(other);
    return left < right ? -1 : left > right ? 1 : 0;
  };
}

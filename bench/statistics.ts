// Median and spread of a few runs, and how numbers are written for people.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Undefined: there is nothing to summarise. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  const [below, above] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (min === undefined || max === undefined || below === undefined || above === undefined) return undefined;
  return { median: (below + above) / 2, min, max, count: sorted.length };
}

/** Three digits that matter, with k or M: 4.89 M, 155 k, 0.179. */
export function brief(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${(value / 1e6).toFixed(size >= 1e8 ? 0 : size >= 1e7 ? 1 : 2)} M`;
  if (size >= 1e5) return `${(value / 1e3).toFixed(0)} k`;
  if (size >= 100) return Math.round(value).toLocaleString("en-US");
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  return value === 0 ? "0" : value.toFixed(3);
}

/** "4.89 M (1.63 M..6.89 M)"; a dash for nothing. */
export function withSpread(spread: Spread | undefined): string {
  if (spread === undefined) return "–";
  const { median, min, max, count } = spread;
  return count === 1 ? brief(median) : `${brief(median)} (${brief(min)}..${brief(max)})`;
}

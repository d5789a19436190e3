// A chart of bars, as SVG: readable on light and on dark ground, without fonts or programs of its own. Makes text only.
import { brief, type Spread } from "./statistics.ts";

export interface Bar {
  readonly label: string;
  readonly value: Spread;
  /** Ours is drawn in colour. */
  readonly isOurs: boolean;
}

const WIDTH = 760;
const LABEL_WIDTH = 220;
const VALUE_WIDTH = 150;
const BAR_HEIGHT = 22;
const LINE_HEIGHT = 34;
const TOP = 46;

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-size: 15px; font-weight: 600; }
    .ours { fill: #0969da; } .other { fill: #8c959f; } .range { stroke: #1f2328; stroke-width: 1.5; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .ours { fill: #4493f8; } .other { fill: #6e7681; } .range { stroke: #e6edf3; }
    }`;

/** Bars to the right, from zero, with a line from the lowest run to the highest. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const highest = Math.max(...bars.map(({ value }) => value.max), Number.MIN_VALUE);
  const scale = (value: number): number => Math.round((value / highest) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH) * 10) / 10;
  const lines = bars.map(({ label, value, isOurs }, index) => {
    const y = TOP + index * LINE_HEIGHT;
    const middle = y + BAR_HEIGHT / 2;
    const [from, to] = [LABEL_WIDTH + scale(value.min), LABEL_WIDTH + scale(value.max)];
    return [
      `  <text x="${LABEL_WIDTH - 10}" y="${middle + 5}" text-anchor="end">${escape(label)}</text>`,
      `  <rect class="${isOurs ? "ours" : "other"}" x="${LABEL_WIDTH}" y="${y}" width="${Math.max(1, scale(value.median))}" height="${BAR_HEIGHT}" rx="2"/>`,
      `  <line class="range" x1="${from}" y1="${middle}" x2="${to}" y2="${middle}"/>`,
      `  <text x="${Math.max(to, LABEL_WIDTH + 1) + 8}" y="${middle + 5}">${escape(brief(value.median))}</text>`,
    ].join("\n");
  });
  const height = TOP + bars.length * LINE_HEIGHT + 6;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `  <style>${STYLE}\n  </style>`,
    `  <text class="title" x="10" y="24">${escape(title)}</text>`,
    ...lines,
    "</svg>",
    "",
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

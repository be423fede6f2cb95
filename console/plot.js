// Plots, by uPlot. Each has its newest values beside it as text, so nothing is said by a picture alone.

import { el, say } from './dom.js';
import { count } from './format.js';

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const HEIGHT = 150;
const all = new Set();

// uPlot draws on a canvas, so a change of the scheme is drawn anew
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { for (const one of all) one.restyle(); });

function axis(values) {
  return { stroke: color('muted'), grid: { stroke: color('line'), width: 1 }, ticks: { show: false }, font: '11px system-ui', size: 42,
    values, gap: 4 };
}

/** A plot that is as wide as its place. `options()` makes the options of uPlot, `legend` names the series. */
class Plot {
  constructor(title, legend, options) {
    this.values = legend.map(([name, tone]) => ({ name, node: el('b', {}, '–'), tone }));
    this.canvas = el('div', { class: 'plot', role: 'img', 'aria-label': title });
    this.title = title;
    this.options = options;
    this.node = el('section', { class: 'card' }, el('h2', {}, title),
      el('p', { class: 'legend' }, ...this.values.map((v) => el('span', { class: v.tone ? `key ${v.tone}` : 'key' }, `${v.name} `, v.node))),
      this.canvas);
    this.sizes = new ResizeObserver(() => this.plot?.setSize({ width: this.canvas.clientWidth, height: HEIGHT }));
    this.sizes.observe(this.canvas);
    all.add(this);
  }

  set(data, texts) {
    this.data = data;
    this.values.forEach((v, n) => say(v.node, texts[n]));
    this.canvas.setAttribute('aria-label', `${this.title}: ${this.values.map((v, n) => `${v.name} ${texts[n]}`).join(', ')}`);
    if (this.plot) this.plot.setData(data);
    else if (this.canvas.clientWidth) this.draw();
  }

  draw() {
    this.plot = new window.uPlot({ width: this.canvas.clientWidth, height: HEIGHT, legend: { show: false }, padding: [8, 24, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { size: 6 } }, ...this.options() }, this.data, this.canvas);
  }

  restyle() {
    if (!this.plot) return;
    this.plot.destroy();
    this.draw();
  }

  close() {
    this.sizes.disconnect();
    this.plot?.destroy();
    all.delete(this);
  }
}

/** Lines over time. Series: [name, tone]. */
export function lines(title, series) {
  return new Plot(title, series, () => ({
    scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
    series: [{}, ...series.map(([, tone], n) => ({ stroke: color(tone), width: 2, fill: n === 0 ? `${color(tone)}1f` : undefined,
      points: { show: false }, spanGaps: true }))],
    axes: [{ ...axis((_, ticks) => ticks.map((t) => new Date(t * 1000).toLocaleTimeString([], { hour12: false }))), size: 24, space: 74 },
      axis((_, ticks) => ticks.map(count))],
  }));
}

/** How many durations were in which bucket. `bounds`: as text, one less than counts. */
export function histogram(title) {
  let labels = [];
  const plot = new Plot(title, [['p50'], ['p95'], ['p99']], () => ({
    scales: { x: { time: false, range: () => [-0.6, labels.length - 0.4] }, y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
    series: [{}, { stroke: color('accent'), fill: `${color('accent')}66`, width: 1, points: { show: false },
      paths: window.uPlot.paths.bars({ size: [0.8, 60] }) }],
    axes: [{ ...axis((_, ticks) => ticks.map((t) => labels[t] ?? '')), size: 24, grid: { show: false }, space: 46, incrs: [1, 2, 3, 4] },
      { ...axis(() => []), size: 18 }],
  }));
  const set = plot.set.bind(plot);
  plot.set = (counts, names, texts) => { labels = names; set([counts.map((_, n) => n), counts], texts); };
  return plot;
}

// The three charts, each with a table of the same numbers beside it: its legend, and the chart for those who do not see it.

import { latency, percent, rate, NONE, time } from './format.js'
import { OUTCOMES, thin } from './series.js'
import { $, h, say, table } from './dom.js'

const uPlot = window.uPlot
/** More in a chart than this are noise. */
const POINTS = 150

const CHARTS = {
  traffic: {
    caption: 'Requests per second by outcome',
    stacked: true,
    format: rate,
    series: OUTCOMES.map(({ id, name }) => ({ id, name, of: point => point.rates[id] }))
  },
  ratio: {
    caption: 'Hit ratio',
    format: percent,
    scale: { range: [0, 1] },
    series: [{ id: 'ratio', name: 'Hit ratio', of: point => point.ratio }]
  },
  latency: {
    caption: 'Latency',
    format: latency,
    scale: { distr: 3, range: (_, low, high) => decades(low, high) },
    splits: (_plot, _axis, low, high) => powers(low, high),
    series: [
      { id: 'hit50', name: 'Hit p50', of: point => point.hit50 },
      { id: 'hit99', name: 'Hit p99', of: point => point.hit99, dash: [6, 3] },
      { id: 'miss99', name: 'Miss p99', of: point => point.miss99 },
      { id: 'upstream99', name: 'App p99', of: point => point.upstream99, dash: [2, 3] }
    ]
  }
}

/** Whole decades around what is shown; of nothing, from 100 µs to 1 s. */
function decades (low, high) {
  if (!(low > 0) || !(high > 0)) return [1e-4, 1]
  const floor = 10 ** Math.floor(Math.log10(low))
  return [floor, Math.max(floor * 10, 10 ** Math.ceil(Math.log10(high)))]
}

/** The decades from `low` to `high`. */
function powers (low, high) {
  const first = Math.round(Math.log10(low))
  return Array.from({ length: Math.round(Math.log10(high)) - first + 1 }, (_, i) => Number(`1e${first + i}`))
}

/** All charts of the page, over the same time. */
export class Charts {
  #history
  #charts
  #seconds = 300

  constructor (history) {
    this.#history = history
    this.#charts = Object.entries(CHARTS).map(([id, what]) => new Chart(id, what))
    for (const input of document.querySelectorAll('input[name=span]')) {
      input.addEventListener('change', () => {
        this.#seconds = Number(input.value)
        this.draw()
      })
    }
  }

  draw () {
    const points = thin(this.#history.points(this.#seconds), this.#seconds / POINTS)
    const nothing = this.#history.requests === 0 ? 'No requests yet.' : 'No requests in this time.'
    const end = points.at(-1)?.at ?? Date.now() / 1000
    // A page that was just opened has little to show: that much, but a minute at least.
    const start = Math.max(end - this.#seconds, Math.min(points[0]?.at ?? 0, end - 60))
    for (const chart of this.#charts) chart.draw(points, start, end, nothing)
  }

  /** The colours of the theme have changed. */
  recolour () {
    for (const chart of this.#charts) chart.recolour()
  }
}

class Chart {
  #what
  #place
  #plot
  #rows
  #when
  #values = [[]]
  #colours
  #empty = h('p', { class: 'none' })

  constructor (id, what) {
    this.#what = what
    this.#place = document.querySelector(`[data-chart=${id}]`)
    this.#legend(document.querySelector(`[data-legend=${id}]`))
    this.#colours = this.#read()
    this.#place.setAttribute('role', 'img')
    this.#place.append(this.#empty)
    this.#plot = new uPlot(this.#options(), [[], ...what.series.map(() => [])], this.#place)
    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(this.#place)
  }

  /** @param nothing what is said where there is nothing to be drawn */
  draw (points, from, to, nothing) {
    const times = points.map(it => it.at)
    this.#values = this.#what.series.map(series => points.map(series.of))
    const isDrawn = it => it !== null && !(it === 0 && this.#what.stacked)
    // A page that was just opened knows of no time yet.
    const isEmpty = points.length > 0 && !this.#values.some(values => values.some(isDrawn))
    say(this.#empty, isEmpty ? nothing : '')
    const drawn = this.#what.stacked ? stack(this.#values) : this.#values
    this.#plot.batch(() => {
      this.#plot.setData([times, ...drawn], false)
      this.#plot.setScale('x', { min: from, max: to })
    })
    this.#tell(this.#plot.cursor.idx)
  }

  recolour () {
    this.#colours = this.#read()
    this.#plot.redraw(false)
  }

  #legend (place) {
    const element = h('table')
    const body = table(element, `${this.#what.caption}, in the time shown`, [
      { title: h('span', { class: 'hidden' }, 'Series') },
      { title: 'now', classes: 'n' }, { title: 'mean', classes: 'n' }, { title: 'max', classes: 'n' }
    ])
    this.#when = element.querySelectorAll('th')[1]
    this.#rows = this.#what.series.map(({ id, name }) => {
      const cells = [h('td', { class: 'n' }, NONE), h('td', { class: 'n' }, NONE), h('td', { class: 'n' }, NONE)]
      const swatch = h('i', { class: `swatch s-${id}`, 'aria-hidden': 'true' })
      body.append(h('tr', { 'data-series': id }, h('th', { scope: 'row' }, swatch, name), cells))
      return { swatch, cells }
    })
    place.append(element)
  }

  /** The numbers beside the chart: of the time the pointer is at, or of now. */
  #tell (index) {
    const { format, series, caption } = this.#what
    const pointed = index !== null && index !== undefined
    const told = this.#values.map((values, i) => {
      const known = values.filter(it => it !== null)
      const now = known.length > 0 ? (pointed ? values[index] : values.at(-1)) : null
      const mean = known.length > 0 ? known.reduce((sum, it) => sum + it, 0) / known.length : null
      const max = known.length > 0 ? known.reduce((most, it) => Math.max(most, it)) : null
      const [nowCell, meanCell, maxCell] = this.#rows[i].cells
      say(nowCell, format(now))
      say(meanCell, format(mean))
      say(maxCell, format(max))
      return `${series[i].name} ${format(now)}`
    })
    say(this.#when, pointed ? time(this.#plot.data[0][index] * 1000, Date.now()) : 'now')
    if (!pointed) this.#place.setAttribute('aria-label', `${caption}: ${this.#empty.textContent || told.join(', ')}`)
  }

  #options () {
    const { series, stacked, scale, splits, format } = this.#what
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize)
    const lines = series.map((it, i) => ({
      label: it.name,
      scale: 'y',
      width: stacked ? 0 : 2,
      dash: it.dash,
      points: { show: false },
      stroke: () => this.#colours.series[i],
      fill: stacked ? () => this.#colours.series[i] : undefined
    }))
    const axis = { stroke: () => this.#colours.muted, font: `${Math.round(0.78 * rem)}px system-ui, sans-serif`, ticks: { show: false } }
    const grid = { stroke: () => this.#colours.grid, width: 1 }
    return {
      ...this.#size(),
      pxAlign: 1,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !stacked }, sync: { key: 'time' } },
      scales: {
        x: { time: true },
        y: scale ?? { range: (_, _low, high) => [0, Math.max(high * 1.05, 1)] }
      },
      series: [{}, ...(stacked ? lines.reverse() : lines)],
      axes: [
        { ...axis, grid: { show: false }, gap: 8, size: 2.1 * rem, space: 4 * rem, incrs: [10, 20, 30, 60, 120, 300], values: (_, splits) => splits.map(clockTime) },
        { ...axis, grid, size: 3.8 * rem, space: 2.4 * rem, splits, values: (_, splits) => splits.map(it => it === null ? '' : format(it)) }
      ],
      hooks: { setCursor: [plot => this.#tell(plot.cursor.idx)] }
    }
  }

  #size () {
    return { width: Math.max(this.#place.clientWidth, 120), height: Math.max(this.#place.clientHeight, 100) }
  }

  /** A canvas has no style of its own: the colours are those of elements. */
  #read () {
    const colour = element => getComputedStyle(element).color
    return {
      series: this.#rows.map(({ swatch }) => colour(swatch)),
      muted: colour($('probe-muted')),
      grid: colour($('probe-grid'))
    }
  }
}

/** The sums from the first series up to each, the largest first: each is drawn over the one before. */
function stack (values) {
  const sums = []
  let below = null
  for (const one of values) {
    below = one.map((value, i) => value === null ? null : value + (below?.[i] ?? 0))
    sums.unshift(below)
  }
  return sums
}

function clockTime (seconds) {
  const at = new Date(seconds * 1000)
  const [hours, minutes, rest] = [at.getHours(), at.getMinutes(), at.getSeconds()].map(it => String(it).padStart(2, '0'))
  return rest === '00' ? `${hours}:${minutes}` : `${hours}:${minutes}:${rest}`
}

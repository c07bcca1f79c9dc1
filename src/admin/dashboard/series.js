// What the counters of a sidecar tell over time: rates, ratios, quantiles. Pure.
//
// Counters only grow, but for a restart, after which they count from 0 again: a counter that fell has grown by what it shows.

/** The outcomes as they are shown, in the order they are stacked, each with the words of `outcomes` that it sums up. */
export const OUTCOMES = [
  { id: 'hit', name: 'Hit', words: ['hit'] },
  { id: 'stale', name: 'Stale', words: ['stale'] },
  { id: 'collapsed', name: 'Collapsed', words: ['collapsed'] },
  { id: 'miss', name: 'Miss', words: ['miss', 'request'] },
  { id: 'expired', name: 'Expired', words: ['expired'] },
  { id: 'invalidated', name: 'Invalidated', words: ['invalidated'] },
  { id: 'bypass', name: 'Bypass', words: ['bypass', 'method'] },
  { id: 'refused', name: 'Refused', words: ['only-if-cached', 'overloaded', 'coalesce-timeout', 'internal-error'] }
]

/** Over how many seconds a ratio or a quantile in a chart is taken. */
export const SMOOTH = 10
/** Longer without news than this, in seconds, is a gap in a chart. */
export const GAP = 5

/** The hit ratio of docs/operations.md: the share of what was looked up that the store answered; null where nothing was. Of counts, or what they grew by. */
export function hitRatio (counts) {
  const found = counts.hits + counts.stale
  const all = found + counts.misses + counts.collapsed
  return all > 0 ? found / all : null
}

/** By how much a counter has grown. */
export function grown (before, after) {
  return after >= before ? after - before : after
}

/** By how much counters of the same names have grown. */
export function growth (before, after) {
  return Object.fromEntries(Object.keys(after).map(name => [name, grown(before[name] ?? 0, after[name])]))
}

/** A histogram of what came after `before`: `{count, sum_seconds, buckets: [[le, cumulative], …]}`. */
export function since (before, after) {
  if (!before || after.count < before.count || after.buckets.length !== before.buckets.length) return after
  return {
    count: after.count - before.count,
    sum_seconds: after.sum_seconds - before.sum_seconds,
    buckets: after.buckets.map(([le, n], i) => [le, n - before.buckets[i][1]])
  }
}

/**
 * The value below which a share `q` of a histogram lies, in seconds: within its bucket evenly spread, and beyond the last
 * bound that bound (as Prometheus estimates it). null of an empty one.
 */
export function quantile (histogram, q) {
  const total = histogram.count
  if (!(total > 0)) return null
  const rank = q * total
  let [lower, below] = [0, 0]
  for (const [le, upTo] of histogram.buckets) {
    if (typeof le !== 'number') break // +Inf, however it is written
    if (upTo >= rank) return upTo > below ? lower + (le - lower) * (rank - below) / (upTo - below) : le
    lower = le
    below = upTo
  }
  return lower
}

/** What is kept of an answer of `/v1/stats`. */
function sample (stats) {
  const outcomes = stats.totals.outcomes
  const { hits, stale, misses, collapsed, requests } = stats.totals
  return {
    at: Date.parse(stats.now) / 1000,
    start: stats.since,
    counts: { hits, stale, misses, collapsed, requests },
    outcomes: Object.fromEntries(OUTCOMES.map(({ id, words }) => [id, words.reduce((n, word) => n + (outcomes[word] ?? 0), 0)])),
    latency: stats.latency
  }
}

/** What happened between two samples. After a restart: since then. */
export function between (before, after) {
  const same = before.start === after.start
  const seconds = after.at - before.at
  const latency = Object.fromEntries(Object.entries(after.latency)
    .map(([name, histogram]) => [name, since(same ? before.latency[name] : null, histogram)]))
  return { seconds, counts: growth(same ? before.counts : {}, after.counts), outcomes: growth(same ? before.outcomes : {}, after.outcomes), latency }
}

/** The last samples, and a point of each chart for every one. */
export class History {
  #samples = []
  #points = []
  #seconds

  /** @param seconds how long a sample is kept */
  constructor (seconds = 900) {
    this.#seconds = seconds
  }

  /**
   * Takes an answer of `/v1/stats`; one that is not newer than the last says nothing, unless the clock was set back or it is another
   * start whose clock is: then everything begins anew.
   */
  push (stats) {
    const next = sample(stats)
    const before = this.#samples.at(-1)
    if (before && next.at <= before.at) {
      if (next.start === before.start && before.at - next.at <= GAP) return
      this.#samples = []
      this.#points = []
    }
    const last = this.#samples.at(-1)
    if (last && next.at - last.at > GAP) this.#points.push(gap(last.at + (next.at - last.at) / 2))
    this.#samples.push(next)
    if (last) this.#points.push(this.#point(last, next))
    const oldest = next.at - this.#seconds
    while (this.#samples[0].at < oldest) this.#samples.shift()
    while (this.#points.length > 0 && this.#points[0].at < oldest) this.#points.shift()
  }

  /** How many requests there were since the start; undefined before anything is known. */
  get requests () {
    return this.#samples.at(-1)?.counts.requests
  }

  /** What happened in the last `seconds`, or since the first sample; null as long as there is but one. */
  last (seconds) {
    const newest = this.#samples.at(-1)
    if (this.#samples.length < 2) return null
    return between(this.#before(newest, seconds), newest)
  }

  /** The points of the last `seconds`, oldest first: `{at, rates: {outcome: n/s}, ratio, hit50, hit99, miss99, upstream99}`. */
  points (seconds) {
    const newest = this.#samples.at(-1)
    return newest ? this.#points.filter(it => it.at >= newest.at - seconds) : []
  }

  #point (last, next) {
    const now = between(last, next)
    const smooth = between(this.#before(next, SMOOTH), next)
    const rates = Object.fromEntries(Object.entries(now.outcomes).map(([id, n]) => [id, n / now.seconds]))
    return {
      at: next.at,
      rates,
      ratio: hitRatio(smooth.counts),
      hit50: quantile(smooth.latency.hit, 0.5),
      hit99: quantile(smooth.latency.hit, 0.99),
      miss99: quantile(smooth.latency.miss, 0.99),
      upstream99: quantile(smooth.latency.upstream, 0.99)
    }
  }

  /** The oldest sample that is at most `seconds` older than `newest`, and never `newest` itself. */
  #before (newest, seconds) {
    const end = this.#samples.length - 1
    const found = this.#samples.findIndex(it => it.at >= newest.at - seconds - 0.5)
    return this.#samples[Math.min(found, end - 1)]
  }
}

function gap (at) {
  const rates = Object.fromEntries(OUTCOMES.map(({ id }) => [id, null]))
  return { at, rates, ratio: null, hit50: null, hit99: null, miss99: null, upstream99: null }
}

/** The points, with the rates of those within the same `seconds` made one: their mean, at the time of the last. */
export function thin (points, seconds) {
  const found = []
  let group = []
  for (const [i, point] of points.entries()) {
    group.push(point)
    const next = points[i + 1]
    if (next && isGap(next) === isGap(point) && Math.floor(next.at / seconds) === Math.floor(point.at / seconds)) continue
    found.push(mean(group))
    group = []
  }
  return found
}

const isGap = point => point.rates.hit === null

function mean (points) {
  const last = points.at(-1)
  if (isGap(last)) return last
  const rates = Object.fromEntries(Object.keys(last.rates).map(id => [id, points.reduce((sum, it) => sum + it.rates[id], 0) / points.length]))
  return { ...last, rates }
}

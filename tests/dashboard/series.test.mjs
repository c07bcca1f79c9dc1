// The numbers that the dashboard works out itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { GAP, growth, grown, History, hitRatio, OUTCOMES, quantile, since, thin } from '../../src/admin/dashboard/series.js'

const EMPTY = { count: 0, sum_seconds: 0, buckets: [[0.001, 0], [0.01, 0], [0.1, 0]] }
const histogram = (...upTo) => ({ count: upTo.at(-1), sum_seconds: 1, buckets: [[0.001, upTo[0]], [0.01, upTo[1]], [0.1, upTo[2]]] })

/** An answer of `/v1/stats`, `seconds` after the first. */
function stats (seconds, { hit = 0, stale = 0, miss = 0, collapsed = 0, bypass = 0, latency = EMPTY, start = '2026-01-01T00:00:00.000Z' } = {}) {
  return {
    now: new Date(Date.parse('2026-01-01T01:00:00Z') + seconds * 1000).toISOString(),
    since: start,
    totals: { requests: hit + stale + miss + collapsed + bypass, hits: hit, stale, misses: miss, collapsed, bypass, outcomes: { hit, stale, miss, collapsed, bypass } },
    latency: { hit: latency, miss: EMPTY, upstream: EMPTY }
  }
}

test('every word of an outcome is in exactly one group', () => {
  const words = OUTCOMES.flatMap(it => it.words)
  assert.equal(new Set(words).size, words.length)
  assert.deepEqual(words.toSorted(), ['bypass', 'coalesce-timeout', 'collapsed', 'expired', 'hit', 'internal-error', 'invalidated', 'method', 'miss', 'only-if-cached', 'overloaded', 'request', 'stale'])
})

test('a quantile lies within its bucket, evenly spread', () => {
  for (const [name, of, q, wanted] of [
    ['nothing has no quantile', EMPTY, 0.5, null],
    ['the middle of the first bucket', histogram(10, 10, 10), 0.5, 0.0005],
    ['the middle of the second', histogram(0, 10, 10), 0.5, 0.0055],
    ['the first that reaches the rank', histogram(50, 100, 100), 0.5, 0.001],
    ['high up', histogram(90, 99, 100), 0.99, 0.01],
    ['all of it', histogram(1, 2, 4), 1, 0.1],
    ['beyond the last bound: that bound', { ...histogram(0, 0, 0), count: 5 }, 0.5, 0.1],
    ['a bound without a number is the end', { count: 4, sum_seconds: 1, buckets: [[0.5, 1], ['+Inf', 4]] }, 0.99, 0.5]
  ]) {
    const found = quantile(of, q)
    if (wanted === null) assert.equal(found, null, name)
    else assert.ok(Math.abs(found - wanted) < 1e-12, `${name}: ${found}`)
  }
})

test('a counter that fell has started again', () => {
  assert.equal(grown(10, 12), 2)
  assert.equal(grown(10, 10), 0)
  assert.equal(grown(10, 3), 3)
  assert.deepEqual(growth({ a: 1 }, { a: 3, b: 2 }), { a: 2, b: 2 })
})

test('a histogram of what came after another', () => {
  assert.deepEqual(since(histogram(1, 2, 3), histogram(2, 4, 8)).buckets.map(([, n]) => n), [1, 2, 5])
  const after = histogram(0, 1, 1)
  assert.equal(since(histogram(5, 6, 7), after), after, 'it started again')
  assert.equal(since(null, after), after)
})

test('the hit ratio is of what was looked up', () => {
  const counts = { hits: 6, stale: 2, misses: 1, collapsed: 1, bypass: 100, refused: 100 }
  assert.equal(hitRatio(counts), 0.8)
  assert.equal(hitRatio({ hits: 0, stale: 0, misses: 0, collapsed: 0 }), null)
})

test('rates are per second of the sidecar\'s own clock', () => {
  const history = new History()
  history.push(stats(0, { hit: 100 }))
  assert.equal(history.last(60), null, 'one sample says nothing')
  history.push(stats(2, { hit: 120, miss: 10 }))
  const { seconds, counts, outcomes } = history.last(60)
  assert.equal(seconds, 2)
  assert.equal(counts.requests, 30)
  assert.equal(outcomes.miss, 10)
  const [point] = history.points(60)
  assert.equal(point.rates.hit, 10)
  assert.equal(point.rates.miss, 5)
  assert.equal(point.ratio, 20 / 30)
})

test('after a restart only what came since counts', () => {
  const before = stats(0, { hit: 1000, latency: histogram(500, 500, 500) })
  const after = stats(3, { hit: 1200, start: '2026-01-01T01:00:02.000Z', latency: histogram(0, 600, 600) })
  const history = new History()
  history.push(before)
  history.push(after)
  const { counts, latency } = history.last(60)
  assert.equal(counts.hits, 1200, 'more than before, and yet all of it new')
  assert.deepEqual(latency.hit, histogram(0, 600, 600))
})

test('a window is no longer than what is known, and no shorter than a sample', () => {
  const history = new History()
  for (let i = 0; i <= 100; i++) history.push(stats(i, { hit: i * i }))
  assert.equal(history.last(60).seconds, 60)
  assert.equal(history.last(1000).seconds, 100)
  assert.equal(history.last(0).seconds, 1)
  assert.equal(history.points(10).length, 11)
})

test('an answer that is not newer says nothing', () => {
  const history = new History()
  history.push(stats(5, { hit: 5 }))
  history.push(stats(5, { hit: 5 }))
  history.push(stats(4, { hit: 4 }))
  assert.equal(history.last(60), null)
})

test('a clock that is set back begins everything anew', () => {
  const history = new History()
  for (const at of [3600, 3601, 3602]) history.push(stats(at, { hit: at }))
  history.push(stats(3602 - GAP, { hit: 3603 }))
  assert.equal(history.points(900).length, 2, 'a late answer does not')
  history.push(stats(0, { hit: 3610 }))
  assert.deepEqual([history.last(60), history.points(900)], [null, []])
  history.push(stats(1, { hit: 3615 }))
  assert.deepEqual(history.points(900).map(it => it.rates.hit), [5])
})

test('another start whose clock is behind begins everything anew', () => {
  const history = new History()
  for (const at of [3, 4]) history.push(stats(at, { hit: 100 * at }))
  for (const [at, hit] of [[2, 1], [3, 8]]) history.push(stats(at, { hit, start: '2026-01-01T01:00:01.000Z' }))
  assert.deepEqual(history.points(900).map(it => it.rates.hit), [7])
})

test('what was not heard is a gap, not a line', () => {
  const history = new History()
  history.push(stats(0, { hit: 1 }))
  history.push(stats(1, { hit: 2 }))
  history.push(stats(1 + GAP + 20, { hit: 3 }))
  const points = history.points(900)
  assert.deepEqual(points.map(it => it.rates.hit === null), [false, true, false])
  assert.deepEqual(thin(points, 900).map(it => it.rates.hit === null), [false, true, false])
})

test('old samples leave', () => {
  const history = new History(60)
  for (let i = 0; i <= 500; i++) history.push(stats(i, { hit: i }))
  assert.equal(history.points(1000).length, 61)
  assert.equal(history.last(1000).seconds, 60)
})

test('thin points have the mean of their rates', () => {
  const history = new History()
  for (const [at, hit] of [[0, 0], [1, 10], [2, 30], [3, 60], [4, 100]]) history.push(stats(at, { hit }))
  const rates = thin(history.points(60), 2).map(it => it.rates.hit)
  assert.equal(rates.length, 3)
  assert.ok(rates.includes(25), String(rates))
})

test('what happened between two samples is every counter\'s growth', () => {
  const history = new History()
  history.push(stats(0))
  history.push(stats(1, { hit: 3, stale: 1, bypass: 2 }))
  const { counts, outcomes } = history.last(10)
  assert.deepEqual(counts, { hits: 3, stale: 1, misses: 0, collapsed: 0, requests: 6 })
  assert.equal(Object.values(outcomes).reduce((a, b) => a + b), 6)
})

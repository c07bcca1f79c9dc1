// What is written for what was collected, with no sockets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { change, increments } from '../src/changes.js'
import { Collector } from '../src/collector.js'
import { headers } from '../src/headers.js'

const LIMITS = { maxHeaderLine: 100, maxTagBytes: 1000, maxIncrementBytes: 1000 }

function collect (fill, limits = LIMITS) {
  const collector = new Collector()
  fill(collector)
  return headers(collector, limits)
}
const add = (...all) => collector => all.forEach(one => collector.add({ increments: [], changes: [], ...one }))
const tags = count => Array.from({ length: count }, (_, at) => `Tag:${at}`)

test('nothing collected is no header', () => assert.deepEqual(collect(() => {}), { lines: {}, rest: { increments: [], changes: [] } }))

test('each increment stands once, in order, with what is said of it', () => {
  const { lines } = collect(add(
    { increments: increments(['b', 'a', 'b']) }, { increments: increments(['a'], { soft: true, again: 2 }) }, { increments: increments(['a']) }))
  assert.deepEqual(lines, { 'Cache-Tag-Increment': ['b, a, a;soft;again=2'] })
})

test('a long list is several lines, none longer than allowed unless one member is', () => {
  const long = 'x'.repeat(150)
  const { lines } = collect(add({ increments: increments([...tags(50), long]) }))
  const all = lines['Cache-Tag-Increment']
  assert.deepEqual(all.join(', ').split(', '), [...tags(50), long])
  assert.ok(all.length > 4 && all.slice(0, -1).every(line => line.length <= 100) && all.at(-1) === long)
})

test('what has no room is left over, and nothing is lost or said twice', () => {
  const one = change('list', { old: { size: 'x'.repeat(500) } })
  const { lines, rest } = collect(add({ increments: increments(tags(200)), changes: [one] }))
  const told = lines['Cache-Tag-Increment'].join(', ').split(', ')
  assert.deepEqual([...told, ...rest.increments.map(({ tag }) => tag)], tags(200))
  assert.ok(lines['Cache-Tag-Increment'].join(', ').length <= 1000)
  assert.deepEqual(rest.changes, [one])
  assert.equal(lines['Cache-Tag-Change'], undefined)
})

test('more tags than have room are none, and the response is not for the store', () => {
  const { lines } = collect(collector => {
    for (const tag of tags(200)) collector.tags.add(tag)
    collector.keep({ ttl: 60 })
  })
  assert.deepEqual(lines, { 'Tagalong-Cache-Control': ['no-store'] })
})

test('a page lives as long as the part of it that lives shortest', () => {
  for (const [said, text] of [
    [[{ ttl: 60 }], 'max-age=60'],
    [[{ ttl: 60, swr: 30 }, { ttl: 10, sie: 5 }, { swr: 40 }], 'max-age=10, stale-while-revalidate=30, stale-if-error=5'],
    [[{ ttl: 0 }], 'max-age=0'],
    [[{ ttl: 60 }, { noStore: true }, { ttl: 5 }], 'no-store']
  ]) assert.deepEqual(collect(collector => said.forEach(one => collector.keep(one))).lines, { 'Tagalong-Cache-Control': [text] })
})

test('changes are structured fields, whatever their values are (RFC 9651)', () => {
  for (const [values, text] of [
    [{ old: { size: 1 }, new: { size: 2 } }, '"r";old.size="1";new.size="2"'],
    [{ new: { a: 'say "hi"\\' } }, '"r";new.a="say \\"hi\\"\\\\"'],
    [{ old: { a: 'café "100%"' } }, '"r";old.a=%"caf%c3%a9 %22100%25%22"'],
    [{ old: { a: 'x\r\ny' } }, '"r";old.a=%"x%0d%0ay"'],
    [{ old: { a: null, b: undefined, c: false, d: '' } }, '"r";old.c="false";old.d=""'],
    [{}, '"r"']
  ]) assert.deepEqual(collect(add({ changes: [change('r', values)] })).lines, { 'Cache-Tag-Change': [text] })
})

test('a rule, an attribute, a value and a time that nobody could read are refused', () => {
  assert.throws(() => change('r\n', {}), TypeError)
  assert.throws(() => change('', {}), TypeError)
  for (const old of [{ Size: 1 }, { 'a=1;new.b': 1 }, { '': 1 }, { a: {} }, { a: Symbol('b') }]) assert.throws(() => change('r', { old }), TypeError)
  for (const again of [0, -1, 1.5, '2', 86_401, NaN]) assert.throws(() => increments(['a'], { again }), TypeError)
})

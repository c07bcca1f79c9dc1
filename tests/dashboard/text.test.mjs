// What is shown as text, and how event streams are read; and that no page of the dashboard could do otherwise.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { paced, pause, search } from '../../src/admin/dashboard/api.js'
import { merged as mergedAudit } from '../../src/admin/dashboard/audit.js'
import { merged as mergedIncrements } from '../../src/admin/dashboard/feed.js'
import * as format from '../../src/admin/dashboard/format.js'
import { Events } from '../../src/admin/dashboard/sse.js'

const FOLDER = fileURLToPath(new URL('../../src/admin/dashboard/', import.meta.url))
const files = fs.readdirSync(FOLDER).filter(file => file !== 'mod.rs')
const read = file => fs.readFileSync(FOLDER + file, 'utf8')
const ours = files.filter(file => file.endsWith('.js') && !file.startsWith('uPlot'))
const plain = text => text.replaceAll('\u202f', ' ')

test('numbers', () => {
  for (const [of, value, wanted] of [
    ['count', 1234567, '1,234,567'], ['count', 0, '0'], ['count', undefined, '–'], ['count', NaN, '–'],
    ['short', 9999, '9,999'], ['short', 12345, '12.3K'], ['short', 4_200_000, '4.2M'],
    ['rate', 0, '0'], ['rate', 0.25, '0.25'], ['rate', 12.34, '12.3'], ['rate', 1234.4, '1,234'], ['rate', null, '–'],
    ['percent', 0, '0 %'], ['percent', 1, '100 %'], ['percent', 0.5, '50.0 %'], ['percent', 0.99999, '99.9 %'], ['percent', 0.00001, '0.1 %'], ['percent', null, '–'],
    ['bytes', 0, '0 B'], ['bytes', 1023, '1,023 B'], ['bytes', 1536, '1.5 KiB'], ['bytes', 256 * 2 ** 20, '256 MiB'], ['bytes', 3 * 2 ** 40, '3.0 TiB'],
    ['latency', 0, '0 s'], ['latency', 0.0000871, '87.1 µs'], ['latency', 0.00345, '3.45 ms'], ['latency', 0.250, '250 ms'], ['latency', 1.2, '1.20 s'], ['latency', null, '–'],
    ['span', 0, '0 s'], ['span', 59.6, '1 m'], ['span', 250, '4 m 10 s'], ['span', 7500, '2 h 5 m'], ['span', 604800, '7 d'], ['span', -5, '−5 s'], ['span', 0.5, '500 ms']
  ]) assert.equal(plain(format[of](value)), wanted, `${of} ${value}`)
})

test('times', () => {
  const now = Date.parse('2026-05-04T12:00:00Z')
  assert.equal(plain(format.ago('2026-05-04T11:59:57Z', now)), '3 s ago')
  assert.equal(plain(format.ago('2026-05-04T11:57:10Z', now)), '2 m ago')
  assert.equal(plain(format.ago('2026-05-04T11:57:10Z', now, 2)), '2 m 50 s ago')
  assert.equal(format.ago('2026-05-04T12:00:01Z', now), 'just now', 'a clock that is ahead')
  assert.equal(format.ago('nonsense', now), '–')
  assert.equal(format.time('nonsense', now), '–')
  assert.match(format.time('2026-05-04T12:00:00Z', now), /^\d\d:\d\d:\d\d$/)
  assert.match(format.time('2026-01-02T12:00:00Z', now), /^2 Jan, /)
})

test('names cannot hide or rearrange what is around them', () => {
  for (const [name, wanted] of [
    ['User:42', 'User:42'],
    ['größe – 価格 🛒', 'größe – 価格 🛒'],
    ['a\u202eb', 'a\\u{202e}b'],
    ['a\u200bb\u2066c', 'a\\u{200b}b\\u{2066}c'],
    ['line\nend\u2028', 'line\\u{a}end\\u{2028}'],
    ['\u0000\u001b[31m', '\\u{0}\\u{1b}[31m'],
    ['\ud800', '\\u{d800}'],
    ['<b>', '<b>'],
    [42, '42']
  ]) assert.equal(format.shown(name), wanted)
  const long = format.cut('x'.repeat(1000), 21)
  assert.equal(long, `${'x'.repeat(10)}…${'x'.repeat(10)}`)
  assert.equal(format.cut('🛒'.repeat(50), 11), `${'🛒'.repeat(5)}…${'🛒'.repeat(5)}`, 'letters stay whole')
})

test('an event stream is read wherever it is cut', () => {
  const text = ': hello\n\nevent: stats\ndata: {"a":1}\n\ndata: one\r\ndata: two\r\n\r\nevent: increment\rdata:x\r\rid: 7\nevent: none\n\nevent:lagged\ndata: {"missed":3}\n\n'
  const wanted = [
    { event: 'stats', data: '{"a":1}' }, { event: 'message', data: 'one\ntwo' },
    { event: 'increment', data: 'x' }, { event: 'lagged', data: '{"missed":3}' }
  ]
  for (let size = 1; size <= text.length; size++) {
    const events = new Events()
    const found = []
    for (let at = 0; at < text.length; at += size) found.push(...events.push(text.slice(at, at + size)))
    assert.deepEqual(found, wanted, `in pieces of ${size}`)
  }
})

test('an event that is not ended is not told', () => {
  assert.deepEqual(new Events().push('event: stats\ndata: {"a":'), [])
})

test('queries leave out what is empty, and spell the rest', () => {
  assert.equal(search({}), '')
  assert.equal(search({ a: '', b: null, c: undefined }), '')
  assert.equal(search({ url: '/a?b=c&d', header: ['A: 1', 'B: 2'] }), '?url=%2Fa%3Fb%3Dc%26d&header=A%3A+1&header=B%3A+2')
})

test('the pause between tries doubles, up to a quarter of a minute', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 40].map(n => pause(n, 0.5)), [1000, 2000, 4000, 8000, 15000, 15000])
  assert.ok(pause(0, 0) < pause(0, 1))
})

test('a costly action is done one at a time, no sooner than it may, and once for all who ask meanwhile', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const settle = () => new Promise(resolve => setImmediate(resolve))
  let [begun, end] = [0, null]
  const ask = paced(5000, () => new Promise(resolve => {
    begun += 1
    end = resolve
  }))
  for (let i = 0; i < 100; i++) void ask()
  assert.equal(begun, 1)
  t.mock.timers.tick(60_000)
  await settle()
  assert.equal(begun, 1, 'it has not ended')
  end()
  await settle()
  assert.equal(begun, 2, 'all who have asked meanwhile')
  end()
  void ask()
  t.mock.timers.tick(4999)
  await settle()
  assert.equal(begun, 2, 'it is too soon')
  t.mock.timers.tick(1)
  await settle()
  assert.equal(begun, 3)
  end()
  t.mock.timers.tick(60_000)
  await settle()
  assert.equal(begun, 3, 'nobody has asked')
  void ask()
  assert.equal(begun, 4)
})

test('increments that are told twice are there once', () => {
  const at = second => `2026-05-04T12:00:0${second}Z`
  const one = (second, stamp, tags = ['A'], by = 'POST /a') => ({ at: at(second), by, tags, ...(stamp === undefined ? {} : { stamp }) })
  for (const [name, some, others, wanted] of [
    ['what came while the others were asked for', [one(1, 1)], [one(2, 2)], [one(2, 2), one(1, 1)]],
    ['the same', [one(2, 2), one(1, 1)], [one(2, 2)], [one(2, 2), one(1, 1)]],
    ['a stamp that it had not yet', [one(1, 7)], [one(1)], [one(1, 7)]],
    ['a stamp that is known already', [one(1)], [one(1, 7)], [one(1, 7)]],
    ['none has one', [one(1)], [one(1)], [one(1)]],
    ['two in the same moment', [one(1, 8), one(1, 7)], [one(1)], [one(1, 8), one(1, 7)]],
    ['of other tags', [one(1, 7)], [one(1, undefined, ['B'])], [one(1, 7), one(1, undefined, ['B'])]],
    ['by another', [one(1, 7)], [one(1, undefined, ['A'], 'x')], [one(1, 7), one(1, undefined, ['A'], 'x')]]
  ]) assert.deepEqual(mergedIncrements(some, others), wanted, name)
})

test('records of the audit that are told twice are there once', () => {
  const one = (id, second) => ({ id, at: `2026-05-04T12:00:0${second}Z` })
  assert.deepEqual(mergedAudit([one('b', 2), one('a', 1)], [one('c', 3), one('b', 2), one('z', 0)]).map(it => it.id), ['c', 'b', 'a', 'z'])
})

test('text becomes markup nowhere', () => {
  for (const file of ours) {
    const found = read(file).match(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\b|new Function|srcdoc|setHTML|cssText/)
    assert.equal(found, null, `${file} has ${found}`)
  }
})

test('the page has no scripts or styles of its own, and names nobody else', () => {
  const page = read('index.html')
  assert.doesNotMatch(page, /<style|\sstyle=|\son[a-z]+=|javascript:/i)
  assert.doesNotMatch(page, /<script(?![^>]*\ssrc="\/assets\/)/)
  for (const file of [...ours, 'index.html', 'style.css', 'uPlot.min.css']) {
    const text = read(file).replaceAll(/https?:\/\/shop\.example/g, '')
    assert.doesNotMatch(text, /["'(]\s*(https?:)?\/\/|@import|url\(/, file)
  }
})

test('every file is used, and every file that is used is there', () => {
  const named = new Set(['index.html'])
  for (const [, file] of read('index.html').matchAll(/"\/assets\/([^"]+)"/g)) named.add(file)
  for (const file of ours) for (const [, imported] of read(file).matchAll(/from '\.\/([^']+)'/g)) named.add(imported)
  assert.deepEqual([...named].toSorted(), files.toSorted())
})

test('the page is small', () => {
  const all = Buffer.concat(files.map(file => fs.readFileSync(FOLDER + file)))
  assert.ok(all.length < 178_000, `${all.length} bytes`)
  assert.ok(gzipSync(all).length < 62_000, `${gzipSync(all).length} bytes compressed`)
})
